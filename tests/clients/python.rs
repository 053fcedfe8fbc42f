//! The Python that has other people's clients and checkers: a virtual environment that `tests/run`
//! makes. Another one can be named by its interpreter, in `HOOKWHEEL_CLIENTS_PYTHON`.

use std::path::{Path, PathBuf};

/// The interpreter that has them.
pub fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("HOOKWHEEL_CLIENTS_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| root.join("target/clients/bin/python"));
    assert!(
        python.exists(),
        "{} is missing: run `tests/run`, or `python3 -m venv target/clients` and \
         `target/clients/bin/pip install -r tests/clients/requirements.txt`",
        python.display()
    );
    python
}
