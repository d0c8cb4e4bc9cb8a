//! The protocol's calls that a mirror needs, answered from the double's database.

use std::{
    future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
};

use tokio_stream::Iter;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::{
    database::{Database, Event, Expected, Fault, Wrong},
    protos::event_store::client::{
        Empty, StreamIdentifier, Uuid as ProtoUuid,
        server_features::{SupportedMethods, server_features_server::ServerFeatures},
        streams::{
            AppendReq, AppendResp, BatchAppendReq, BatchAppendResp, DeleteReq, DeleteResp, ReadReq, ReadResp,
            TombstoneReq, TombstoneResp,
            append_req::{self, options::ExpectedStreamRevision},
            append_resp::{
                self, Success, WrongExpectedVersion,
                success::{CurrentRevisionOption, PositionOption},
                wrong_expected_version,
            },
            read_req::options::{CountOption, ReadDirection, StreamOption, stream_options::RevisionOption},
            read_resp::{
                self, ReadEvent, StreamNotFound,
                read_event::{Position, RecordedEvent},
            },
            streams_server::Streams,
        },
        uuid::Value,
    },
    server::Order,
};

/// As servers are configured by default.
const MOST_BYTES: usize = 1 << 20;

/// Shared by all connections and by the test.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub database: Arc<Mutex<Database>>,
    pub orders: mpsc::Sender<Order>,
}

impl Service {
    pub fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Breaks all connections; this one never answers.
    async fn cut(&self) -> ! {
        let _ = self.orders.send(Order::Cut);
        future::pending().await
    }
}

type Answers<T> = Iter<std::vec::IntoIter<Result<T, Status>>>;

#[tonic::async_trait]
impl Streams for Service {
    type ReadStream = Answers<ReadResp>;
    type BatchAppendStream = Answers<BatchAppendResp>;

    async fn read(&self, request: Request<ReadReq>) -> Result<Response<Self::ReadStream>, Status> {
        let options = request.into_inner().options.ok_or_else(|| Status::invalid_argument("options are missing"))?;
        let forwards = options.read_direction == i32::from(ReadDirection::Forwards);
        let (Some(StreamOption::Stream(stream)), Some(CountOption::Count(count)), true) =
            (options.stream_option, options.count_option, forwards)
        else {
            return Err(Status::unimplemented("the double reads streams forwards"));
        };
        let identifier = stream.stream_identifier.unwrap_or_default();
        let name = String::from_utf8_lossy(&identifier.stream_name).into_owned();
        let from = match stream.revision_option {
            Some(RevisionOption::Revision(revision)) => revision,
            Some(RevisionOption::Start(_)) => 0,
            _ => return Err(Status::unimplemented("the double reads streams forwards")),
        };
        let database = self.database();
        let answers: Vec<_> = match database.streams.get(&name) {
            None => vec![read_resp::Content::StreamNotFound(StreamNotFound { stream_identifier: Some(identifier) })],
            Some(events) => (0u64..)
                .zip(events)
                .filter(|(revision, _)| *revision >= from)
                .take(usize::try_from(count).unwrap_or(usize::MAX))
                .map(|(revision, event)| read_resp::Content::Event(recorded(&identifier, revision, event)))
                .collect(),
        };
        let answers: Vec<_> = answers.into_iter().map(|content| Ok(ReadResp { content: Some(content) })).collect();
        Ok(Response::new(tokio_stream::iter(answers)))
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        let mut parts = request.into_inner();
        let Some(append_req::Content::Options(options)) = parts.message().await?.and_then(|part| part.content) else {
            return Err(Status::invalid_argument("the first message has the options"));
        };
        let mut events = Vec::new();
        while let Some(part) = parts.message().await? {
            if let Some(append_req::Content::ProposedMessage(message)) = part.content {
                events.push(Event {
                    id: id(message.id)?,
                    kind: message.metadata,
                    metadata: message.custom_metadata,
                    data: message.data,
                });
            }
        }
        if events.iter().map(|event| event.data.len() + event.metadata.len()).sum::<usize>() > MOST_BYTES {
            return Err(Status::invalid_argument("Maximum Append Size of 1048576 Exceeded."));
        }
        let stream = String::from_utf8_lossy(&options.stream_identifier.unwrap_or_default().stream_name).into_owned();
        let expected = match options.expected_stream_revision {
            Some(ExpectedStreamRevision::Revision(revision)) => Expected::Exact(revision),
            Some(ExpectedStreamRevision::NoStream(_)) => Expected::NoStream,
            Some(ExpectedStreamRevision::StreamExists(_)) => Expected::Exists,
            Some(ExpectedStreamRevision::Any(_)) => Expected::Any,
            None => return Err(Status::invalid_argument("a revision is expected")),
        };
        let fault = {
            let mut database = self.database();
            database.appends += 1;
            database.faults.pop_front()
        };
        match fault {
            Some(Fault::Before) => return Err(Status::unavailable("as the test wished")),
            Some(Fault::CutBefore) => self.cut().await,
            _ => {}
        }
        let outcome = self.database().append(&stream, expected, &events);
        match fault {
            Some(Fault::After) => return Err(Status::unavailable("as the test wished")),
            Some(Fault::CutAfter) => self.cut().await,
            Some(Fault::SilentAfter) => future::pending().await,
            Some(Fault::Late(late)) => tokio::time::sleep(late).await,
            _ => {}
        }
        let result = match outcome {
            Ok(revision) => append_resp::Result::Success(Success {
                current_revision_option: Some(CurrentRevisionOption::CurrentRevision(revision)),
                position_option: Some(PositionOption::NoPosition(Empty {})),
            }),
            Err(wrong) => append_resp::Result::WrongExpectedVersion(refusal(expected, wrong)),
        };
        Ok(Response::new(AppendResp { result: Some(result) }))
    }

    async fn delete(&self, _: Request<DeleteReq>) -> Result<Response<DeleteResp>, Status> {
        Err(Status::unimplemented("the double deletes nothing"))
    }

    async fn tombstone(&self, _: Request<TombstoneReq>) -> Result<Response<TombstoneResp>, Status> {
        Err(Status::unimplemented("the double deletes nothing"))
    }

    async fn batch_append(
        &self,
        _: Request<Streaming<BatchAppendReq>>,
    ) -> Result<Response<Self::BatchAppendStream>, Status> {
        Err(Status::unimplemented("the double appends stream by stream"))
    }
}

#[tonic::async_trait]
impl ServerFeatures for Service {
    async fn get_supported_methods(&self, _: Request<Empty>) -> Result<Response<SupportedMethods>, Status> {
        Ok(Response::new(SupportedMethods { methods: Vec::new(), event_store_server_version: "24.10.0".to_owned() }))
    }
}

fn refusal(expected: Expected, wrong: Wrong) -> WrongExpectedVersion {
    use wrong_expected_version::{CurrentRevisionOption as Current, ExpectedRevisionOption as Wanted};
    WrongExpectedVersion {
        current_revision_option: Some(
            wrong.current.map_or(Current::CurrentNoStream(Empty {}), Current::CurrentRevision),
        ),
        expected_revision_option: Some(match expected {
            Expected::Any => Wanted::ExpectedAny(Empty {}),
            Expected::Exists => Wanted::ExpectedStreamExists(Empty {}),
            Expected::NoStream => Wanted::ExpectedNoStream(Empty {}),
            Expected::Exact(revision) => Wanted::ExpectedRevision(revision),
        }),
        ..WrongExpectedVersion::default()
    }
}

fn recorded(stream: &StreamIdentifier, revision: u64, event: &Event) -> ReadEvent {
    let mut metadata = event.kind.clone();
    metadata.insert("created".to_owned(), "0".to_owned());
    ReadEvent {
        event: Some(RecordedEvent {
            id: Some(ProtoUuid { value: Some(Value::String(event.id.to_string())) }),
            stream_identifier: Some(stream.clone()),
            stream_revision: revision,
            prepare_position: 0,
            commit_position: 0,
            metadata,
            custom_metadata: event.metadata.clone(),
            data: event.data.clone(),
        }),
        link: None,
        position: Some(Position::NoPosition(Empty {})),
    }
}

fn id(id: Option<ProtoUuid>) -> Result<Uuid, Status> {
    let wrong = || Status::invalid_argument("an event has no id");
    match id.and_then(|id| id.value).ok_or_else(wrong)? {
        Value::String(text) => text.parse().map_err(|_| wrong()),
        Value::Structured(bits) => Ok(Uuid::from_u64_pair(
            bits.most_significant_bits.cast_unsigned(),
            bits.least_significant_bits.cast_unsigned(),
        )),
    }
}
