//! Secrets that nobody set: made at the first start and kept in the data directory, where the programs that are run
//! beside the simulator find them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use rand::{TryRng, rngs::SysRng};
use secrecy::SecretString;

use crate::ids;

/// The secret in the file `name` of `dir`; 256 random bits in hex are written there when there is none. Of several
/// programs that start at once, the first one's secret is everybody's.
pub(crate) fn read_or_create(dir: &Path, name: &str) -> io::Result<SecretString> {
    let path = dir.join(name);
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    fs::create_dir_all(dir)?;
    let mut random = [0u8; 32];
    SysRng.try_fill_bytes(&mut random).map_err(io::Error::other)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written whole under another name and then linked: a link, unlike a rename, replaces nothing.
    let draft = dir.join(format!(".{name}.{}", ids::bare()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, &path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read(&path)?.ok_or_else(|| io::Error::other(format!("{} vanished", path.display()))),
    }
}

fn read(path: &Path) -> io::Result<Option<SecretString>> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Err(io::Error::other(format!("{} is empty", path.display()))),
        Ok(text) => Ok(Some(SecretString::from(text.trim()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
