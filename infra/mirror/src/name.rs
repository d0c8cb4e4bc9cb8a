//! Names of streams over there: no two organizations share one, and a prefix selects an organization.

use uuid::Uuid;

/// What all streams of an organization begin with, for `$all` filtered by prefix.
pub fn organization_prefix(organization: Uuid) -> String {
    format!("propty.{}.", organization.simple())
}

/// `propty.<organization>.<stream>-<id>`. The server takes what stands before the first hyphen for the category, so neither the
/// organization nor the stream's type has one.
pub fn stream_name(organization: Uuid, stream: &str, id: &str) -> String {
    format!("{}{}-{id}", organization_prefix(organization), stream.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_category_is_an_organizations_streams_of_one_type() {
        let organization = Uuid::from_u128(0xa);
        let name = stream_name(organization, "access-token", "00000000-0000-0000-0000-000000000001");
        assert_eq!(name, "propty.0000000000000000000000000000000a.access_token-00000000-0000-0000-0000-000000000001");
        assert_eq!(
            name.split_once('-').map(|(category, _)| category),
            Some("propty.0000000000000000000000000000000a.access_token")
        );
    }

    #[test]
    fn the_same_id_in_two_organizations_is_two_streams() {
        let id = "00000000-0000-0000-0000-000000000001";
        assert_ne!(stream_name(Uuid::from_u128(1), "invoice", id), stream_name(Uuid::from_u128(2), "invoice", id));
    }
}
