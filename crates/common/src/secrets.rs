//! Secrets generated at first start, so that none has to be invented and none is built in.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rand::{TryRng, rngs::SysRng};
use secrecy::SecretString;

use crate::ids::new_id;

/// The secret kept in the file `name` of `dir`; 256 random bits in hex are written there when it does not exist. Several
/// processes may start at once: all use the first one's secret.
///
/// # Errors
/// When the file can be neither read nor made.
pub fn read_or_create(dir: &Path, name: &str) -> io::Result<SecretString> {
    let path = dir.join(name);
    if let Some(secret) = read(&path)? {
        return Ok(secret);
    }
    let mut random = [0u8; 32];
    SysRng.try_fill_bytes(&mut random).map_err(io::Error::other)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written whole under another name and then linked, so that no process reads half of it; a link, unlike a
    // rename, does not replace what another process has linked meanwhile.
    let draft = dir.join(format!(".{name}.{}", new_id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
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
    let mut text = String::new();
    match OpenOptions::new().read(true).open(path) {
        Ok(mut file) => file.read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "{} must not be readable by others (chmod 600)",
            path.display()
        )));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(io::Error::other(format!("{} is empty", path.display())));
    }
    Ok(Some(SecretString::from(text)))
}
