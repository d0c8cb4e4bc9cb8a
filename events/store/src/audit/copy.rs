//! Rows as `COPY … (FORMAT binary)` sends them: the fastest way out of the database.

use futures_util::TryStreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use super::AuditError;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// Shows each row of a query without nulls to a function.
pub async fn each<const COLUMNS: usize>(
    connection: &mut PgConnection,
    copy: &str,
    mut show: impl FnMut(&[&[u8]; COLUMNS]) -> Result<(), AuditError>,
) -> Result<(), AuditError> {
    let mut stream = connection.copy_out_raw(copy).await?;
    let (mut buffer, mut begun, mut ended): (Vec<u8>, bool, bool) = (Vec::new(), false, false);
    while let Some(chunk) = stream.try_next().await? {
        buffer.extend_from_slice(&chunk);
        let mut rest: &[u8] = &buffer;
        if !begun {
            let Some(after) = header(rest)? else { continue };
            (rest, begun) = (after, true);
        }
        while let Some((row, after)) = row::<COLUMNS>(rest, &mut ended)? {
            show(&row)?;
            rest = after;
        }
        let left = rest.len();
        buffer.drain(..buffer.len() - left);
    }
    if ended { Ok(()) } else { Err(AuditError::Format) }
}

fn header(bytes: &[u8]) -> Result<Option<&[u8]>, AuditError> {
    let Some((start, rest)) = bytes.split_at_checked(SIGNATURE.len() + 4) else { return Ok(None) };
    if !start.starts_with(SIGNATURE) {
        return Err(AuditError::Format);
    }
    let Some((length, rest)) = int(rest) else { return Ok(None) };
    Ok(rest.get(usize::try_from(length).map_err(|_| AuditError::Format)?..))
}

type Split<'a, const COLUMNS: usize> = Option<([&'a [u8]; COLUMNS], &'a [u8])>;

/// The first row and what follows it; `None` when it is not there whole, or at the end.
fn row<'a, const COLUMNS: usize>(bytes: &'a [u8], ended: &mut bool) -> Result<Split<'a, COLUMNS>, AuditError> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == -1 {
        *ended = true;
        return Ok(None);
    }
    if usize::try_from(count) != Ok(COLUMNS) {
        return Err(AuditError::Format);
    }
    let mut fields = [&[][..]; COLUMNS];
    for field in &mut fields {
        let Some((length, after)) = int(rest) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| AuditError::Format)?;
        let Some((value, after)) = after.split_at_checked(length) else { return Ok(None) };
        (*field, rest) = (value, after);
    }
    Ok(Some((fields, rest)))
}

fn int(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<4>()?;
    Some((i32::from_be_bytes(*number), rest))
}

pub fn number(field: &[u8]) -> Result<i64, AuditError> {
    field.try_into().map(i64::from_be_bytes).map_err(|_| AuditError::Format)
}

pub fn uuid(field: &[u8]) -> Result<Uuid, AuditError> {
    Uuid::from_slice(field).map_err(|_| AuditError::Format)
}

pub fn text(field: &[u8]) -> Result<&str, AuditError> {
    std::str::from_utf8(field).map_err(|_| AuditError::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        bytes.extend([0, 2, 0, 0, 0, 1, b'a', 0, 0, 0, 2, b'b', b'c']);
        bytes
    }

    #[test]
    fn a_row_is_taken_once_it_is_whole() -> Result<(), AuditError> {
        let bytes = sample();
        let mut ended = false;
        let rest = header(&bytes)?.unwrap_or_default();
        for cut in 0..rest.len() {
            assert!(row::<2>(&rest[..cut], &mut ended)?.is_none(), "{cut}");
        }
        let whole: Split<'_, 2> = row(rest, &mut ended)?;
        assert_eq!(whole, Some(([&b"a"[..], &b"bc"[..]], &[][..])));
        assert!(!ended);
        assert!(row::<2>(&[0xff, 0xff], &mut ended)?.is_none());
        assert!(ended);
        Ok(())
    }

    #[test]
    fn what_is_no_row_of_these_columns_is_refused() {
        let mut ended = false;
        assert!(row::<3>(&[0, 2, 0, 0, 0, 0], &mut ended).is_err());
        // A null.
        assert!(row::<1>(&[0, 1, 0xff, 0xff, 0xff, 0xff], &mut ended).is_err());
        assert!(header(b"PGCOPX\n\xff\r\n\0\0\0\0\0\0\0\0\0").is_err());
    }
}
