//! Where things lie in the source tree.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The root of the workspace. Cargo names the package's folder when it runs it; the folder it was compiled in
/// stands in when the program is started by hand.
pub(crate) fn root() -> PathBuf {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), Path::to_path_buf)
}

/// The folder that setup installs into. It is not under version control, and removing it undoes everything
/// that setup did except for the system's packages.
pub(crate) fn tools() -> PathBuf {
    root().join(".tools")
}

/// A path as a reader of the output wants it: from the root of the tree, if it lies inside.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}
