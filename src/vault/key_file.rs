//! The file of the master key: where it lies, and how it is read and written.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Behind the name of the data folder.
const ENDING: &str = ".key";

/// The file for the data folder `folder`: beside it, its name with `.key`.
///
/// # Errors
/// Refuses `/`, which has nothing beside it, and what ends in `..` and is not there.
pub(crate) fn beside(folder: &Path) -> Result<PathBuf> {
    // What ends in `.` or `..` says no name; the folder that it leads to has one.
    let folder = match folder.file_name() {
        Some(_) => folder.to_owned(),
        None => fs::canonicalize(folder).map_err(|error| {
            let folder = folder.display();
            Error::invalid(format!("data folder `{folder}` cannot be found: {error}"))
                .with_source(error)
        })?,
    };
    let Some(name) = folder.file_name() else {
        return Err(Error::invalid(format!(
            "data folder `{}` has nothing beside it, where the master key would lie: choose \
             another folder",
            folder.display()
        )));
    };
    Ok(folder.with_file_name(with_ending(name.to_owned(), ENDING)))
}

/// Refuses a key file that lies in the data folder: a copy of that would hold the secrets and the
/// key to them. Where the key file is not there but lies as an earlier version put it, it tells how
/// to move it.
///
/// # Errors
/// As it says.
pub(crate) fn check_apart(file: &Path, folder: &Path) -> Result<()> {
    let is_within = |path: &Path| {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        path.parent().is_some_and(|above| real(above).starts_with(real(folder)))
    };
    if is_within(file) {
        return Err(Error::invalid(format!(
            "master key file `{}` lies in data folder `{}`, whose copies would hold the key to \
             their secrets: choose another place",
            file.display(),
            folder.display()
        )));
    }
    let former = [
        with_ending(folder.into(), ENDING).into(),
        folder.join(ENDING),
        folder.join(with_ending(".".into(), ENDING)),
    ];
    let is_former = |path: &&PathBuf| path.as_path() != file && path.exists() && is_within(path);
    match former.iter().find(is_former) {
        Some(former) if !file.exists() => Err(Error::invalid(format!(
            "the master key lies at `{former}`, where an earlier version put it, and belongs \
             beside the data folder: move it with `mv {former} {file}`, or give it as \
             HOOKWHEEL_MASTER_KEY. Copies of the folder that were made until now hold it, too",
            former = former.display(),
            file = file.display()
        ))),
        _ => Ok(()),
    }
}

/// The text of the file; `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let read = || -> io::Result<Zeroizing<String>> {
        let mut file = File::open(path)?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(
                file = %path.display(),
                mode = format_args!("{mode:04o}"),
                "others may use the master key: leave it to its owner, with `chmod 600`"
            );
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    match read() {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::unreadable(format!(
            "cannot read master key file `{}`: {error}",
            path.display()
        ))
        .with_source(error)),
    }
}

/// Writes `lines` beside the file's place and renames that, so that a crash leaves the old or the
/// new one. What lay there is not written to: it might be open to others, or lead elsewhere.
pub(super) fn write(path: &Path, lines: &[Zeroizing<String>]) -> Result<()> {
    let write = || -> io::Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        let temporary = PathBuf::from(with_ending(path.into(), ".new"));
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        // The mask of the process may have taken more from it.
        file.set_permissions(Permissions::from_mode(0o600))?;
        for line in lines {
            file.write_all(line.as_bytes())?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(parent)?.sync_all()
    };
    write().map_err(|error| {
        Error::unavailable(format!("cannot write master key file `{}`: {error}", path.display()))
            .with_source(error)
    })
}

/// Where `path` leads, as far as there is something.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|above| {
        let rest = path.strip_prefix(above).ok()?;
        Some(fs::canonicalize(above).ok()?.join(rest))
    });
    there.unwrap_or(path)
}

fn with_ending(mut name: OsString, ending: &str) -> OsString {
    name.push(ending);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_lies_in_the_way_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let [key, new, other] =
            ["d.key", "d.key.new", "other"].map(|name| folder.path().join(name));
        let line = [Zeroizing::new("a key".to_owned())];
        fs::write(&new, "").unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o644)).unwrap();
        write(&key, &line).unwrap();
        assert_eq!(mode(&key), 0o600);

        fs::write(&other, "another's").unwrap();
        std::os::unix::fs::symlink(&other, &new).unwrap();
        write(&key, &line).unwrap();
        assert!(fs::symlink_metadata(&key).unwrap().is_file());
        assert_eq!((mode(&key), fs::read_to_string(&key).unwrap().as_str()), (0o600, "a key\n"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "another's");
    }

    #[test]
    fn a_key_file_lies_beside_whatever_way_the_folder_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let above = fs::canonicalize(folder.path()).unwrap();
        fs::create_dir_all(above.join("data/sub")).unwrap();
        std::os::unix::fs::symlink("data", above.join("link")).unwrap();
        std::os::unix::fs::symlink(".", above.join("data/self")).unwrap();
        for (written, expected) in [
            ("data", "data.key"),
            ("data/", "data.key"),
            ("data//", "data.key"),
            ("data/.", "data.key"),
            ("data/sub/..", "data.key"),
            ("link/", "link.key"),
            ("none/", "none.key"),
            ("data.d/", "data.d.key"),
        ] {
            let written = above.join(written);
            let file = beside(&written).unwrap();
            assert_eq!(file, above.join(expected), "{}", written.display());
            check_apart(&file, &written).unwrap();
        }
        let inside = above.join("data/self");
        let refused = check_apart(&beside(&inside).unwrap(), &inside).unwrap_err();
        assert!(refused.to_string().contains("lies in data folder"), "{refused}");
        for root in ["/", "/..", "//"] {
            let refused = beside(Path::new(root)).unwrap_err().to_string();
            assert!(refused.contains("nothing beside it"), "{refused}");
        }
        let refused = check_apart(&above.join("none/keys/a"), &above.join("none")).unwrap_err();
        assert!(refused.to_string().contains("lies in data folder"), "{refused}");
        check_apart(Path::new("a.key"), &above.join("data")).unwrap();
        let here = std::env::current_dir().unwrap();
        assert!(check_apart(Path::new("a.key"), &here).is_err(), "it lies there, too");
        // The key of before is beside the folder still, and no copy has it.
        let folder = above.join("moved");
        fs::create_dir_all(&folder).unwrap();
        fs::write(above.join("moved.key"), "key").unwrap();
        check_apart(&above.join("elsewhere.key"), &folder).unwrap();
    }
}
