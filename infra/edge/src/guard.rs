//! What holds for every answer: errors become problems, panics stay inside one request, browsers are told to be careful.

use poem::{
    Endpoint, EndpointExt, IntoResponse, Response,
    middleware::{CatchPanic, CookieJarManager},
};

use crate::Problem;

/// Wraps an application.
pub fn guard<E>(app: E) -> impl Endpoint<Output = Response>
where
    E: Endpoint + 'static,
    E::Output: IntoResponse,
{
    // Authentication looks at cookies, and poem offers them only under this.
    app.with(CookieJarManager::new())
        .with(CatchPanic::new().with_handler(|_| {
            tracing::error!("a request panicked");
            Problem::internal(&Panicked).into_response()
        }))
        .catch_all_error(|error: poem::Error| async move {
            if error.is::<Problem>() || error.is_from_response() {
                let problem = error.downcast_ref::<Problem>().cloned();
                return problem.map_or_else(|| error.into_response(), IntoResponse::into_response);
            }
            Problem::of(&error).into_response()
        })
        .map_to_response()
        .after(|result: poem::Result<Response>| async move {
            result.map(|mut response| {
                let headers = response.headers_mut();
                for (name, value) in [
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                    ("x-frame-options", "DENY"),
                    ("cache-control", "no-store"),
                ] {
                    headers.entry(name).or_insert(poem::http::HeaderValue::from_static(value));
                }
                response
            })
        })
}

#[derive(Debug, thiserror::Error)]
#[error("a handler panicked")]
struct Panicked;
