//! The file system that the kernel unpacks into memory when it starts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use super::output_of;

/// What goes in: where it will be (from the root, without a slash in front), and where it is.
#[derive(Default)]
pub(super) struct Content(BTreeMap<PathBuf, PathBuf>);

impl Content {
    /// Adds a file.
    pub(super) fn file(&mut self, from: &Path, to: &str) {
        self.0.insert(to.into(), from.into());
    }

    /// Adds a program, and the libraries that it is linked with at the places where they are on this machine.
    pub(super) fn program(&mut self, from: &Path, to: &str) -> anyhow::Result<()> {
        self.file(from, to);
        for library in libraries(&output_of(Command::new("ldd").arg(from))?) {
            self.file(Path::new(library), library.trim_start_matches('/'));
        }
        Ok(())
    }

    /// Packs it all into `<folder>/initramfs.cpio`.
    pub(super) fn pack(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let root = folder.join("root");
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
        }
        // Folders sort in front of what is in them, as the kernel needs it.
        let mut names = BTreeSet::new();
        for (to, from) in &self.0 {
            let place = root.join(to);
            let parent = place.parent().unwrap_or(&root);
            fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
            fs::copy(from, &place)
                .with_context(|| format!("copy {} to {}", from.display(), place.display()))?;
            names.extend(to.ancestors().filter(|name| !name.as_os_str().is_empty()).map(Path::to_path_buf));
        }

        let archive = folder.join("initramfs.cpio");
        let output = File::create(&archive).with_context(|| format!("create {}", archive.display()))?;
        let mut cpio = Command::new("cpio")
            .args(["--create", "--format=newc", "--null", "--quiet", "--owner=0:0"])
            .current_dir(&root)
            .stdin(Stdio::piped())
            .stdout(output)
            .spawn()
            .context("start cpio")?;
        let mut list = cpio.stdin.take().context("cpio has no standard input")?;
        for name in &names {
            list.write_all(name.as_os_str().as_bytes()).and_then(|()| list.write_all(b"\0"))?;
        }
        drop(list);
        let status = cpio.wait().context("wait for cpio")?;
        if !status.success() {
            bail!("cpio could not pack {}: {status}", root.display());
        }
        Ok(archive)
    }
}

/// The files in the output of ldd: `libc.so.6 => /lib/libc.so.6 (0x…)`, and the loader's `/lib64/ld.so (0x…)`.
fn libraries(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| {
        let path = line.split(" => ").last()?.trim().split(" (").next()?;
        path.starts_with('/').then_some(path)
    })
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn the_loader_is_a_library_and_the_kernels_own_is_none() {
        let output = "\tlinux-vdso.so.1 (0x00007f61f4353000)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f61f3fc9000)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f61f4355000)\n";
        let found: Vec<&str> = libraries(output).collect();
        assert_eq!(found, ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(libraries("\tstatically linked\n").count(), 0);
    }
}
