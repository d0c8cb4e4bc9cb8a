//! Random secrets and names, and the file that keeps the password.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use ring::digest;

/// The length of a password in characters: 32 random bytes in hexadecimal.
const PASSWORD_LENGTH: usize = 64;

/// Random bytes from the system, in hexadecimal.
pub(crate) fn random(bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut buffer)?;
    Ok(hex(&buffer))
}

/// A short stable name for a path.
pub(crate) fn short_name(path: &Path) -> String {
    let digest = digest::digest(&digest::SHA256, path.as_os_str().as_encoded_bytes());
    hex(digest.as_ref().get(..8).unwrap_or_default())
}

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(context.finish().as_ref())),
            read => context.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// The saved password, if the file is there and whole.
pub(crate) fn load(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())
            .filter(|text| text.len() == PASSWORD_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A new password.
pub(crate) fn generate() -> io::Result<String> {
    random(PASSWORD_LENGTH / 2)
}

/// Writes a file only its owner may read, so that it is there whole or not at all.
pub(crate) fn save(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

/// Makes a rename in a folder durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sha_256_is_that_of_the_standard() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("abc");
        fs::write(&file, "abc").expect("a file");
        let wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of(&file).expect("a hash"), wanted);
    }

    #[test]
    fn a_saved_password_is_loaded_and_a_torn_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        assert_eq!(load(&file).expect("no error"), None);
        let password = generate().expect("a password");
        save(&file, &password).expect("a saved file");
        assert_eq!(load(&file).expect("no error"), Some(password));
        fs::write(&file, "abc").expect("a file");
        assert_eq!(load(&file).expect("no error"), None);
    }
}
