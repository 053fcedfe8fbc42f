//! The master key lies beside the data folder, however that is written on the command line.

use crate::Ran;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs the binary in `here` with nothing of our environment.
fn run_in(here: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookwheel"));
    command.env_clear().current_dir(here).args(arguments).output().unwrap().into()
}

/// Makes a token in the data folder that is written so.
fn token(here: &Path, data: &str) -> Ran {
    run_in(here, &["token", "create", "ops", "--data", data])
}

/// A folder with an empty one in it, `data`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    folder
}

#[test]
fn a_trailing_slash_and_a_dot_put_no_key_into_the_folder() {
    for (here, data) in [("", "data/"), ("", "./data//."), ("data", "."), ("data/sub", "..")] {
        let folder = folder();
        let (above, own) = (folder.path(), folder.path().join("data"));
        fs::create_dir(own.join("sub")).unwrap();
        let ran = token(&above.join(here), data);
        assert_eq!(ran.code, 0, "{data}: {}", ran.err);
        let key = above.join("data.key");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{data}");
        let mut names: Vec<_> =
            fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["lock", "manifest", "mark", "sled", "sub"], "{data}");
        for other in ["data", "data/"] {
            assert_eq!(token(above, other).code, 0, "{data}, then {other}");
        }
        let printed = run_in(&above.join(here), &["config", "--data", data]);
        let told = printed.out.lines().find_map(|line| line.strip_prefix("# master key: file "));
        let told = above.join(here).join(told.unwrap());
        assert_eq!(fs::canonicalize(told).unwrap(), fs::canonicalize(key).unwrap(), "{data}");
    }
    let folder = folder();
    std::os::unix::fs::symlink(".", folder.path().join("data/self")).unwrap();
    let refused = token(folder.path(), "data/self");
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(refused.err.contains("`data/self.key` lies in data folder"), "{}", refused.err);
    let refused = run_in(folder.path(), &["config", "--data", "/"]);
    assert_eq!(refused.code, 2, "{}", refused.out);
    assert!(refused.err.contains("nothing beside it"), "{}", refused.err);
}

#[test]
fn a_key_that_was_put_into_the_folder_is_to_be_moved() {
    for (here, data, former, moved) in [
        ("", "data", "data/.key", "`mv data/.key data.key`"),
        ("", "data/", "data/.key", "`mv data/.key data.key`"),
        ("data", ".", "data/..key", "data.key`"),
    ] {
        let folder = folder();
        let (above, here) = (folder.path(), folder.path().join(here));
        let [former, right] = [former, "data.key"].map(|name| above.join(name));
        assert_eq!(token(above, "data").code, 0);
        fs::rename(&right, &former).unwrap();
        let refused = token(&here, data);
        assert_ne!(refused.code, 0);
        assert!(refused.err.contains("move it with") && refused.err.contains(moved), "{refused:?}");
        assert!(!right.exists(), "no new key is made");
        fs::rename(&former, &right).unwrap();
        assert_eq!(token(&here, data).code, 0);
    }
}
