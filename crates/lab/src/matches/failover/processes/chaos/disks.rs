//! Disks whose power can be cut: each machine's files are on an ext4 image of their own.
//!
//! A killed process loses nothing that it has handed to the system. Here all machines are stopped,
//! the images are copied as they are, and the machines go on from the copies. The file system
//! commits its journal by itself only every ten minutes, so most of what was not synced is missing
//! in a copy. A real disk may also lose what its own cache held; that is not simulated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::child_process::ProcessError;

/// Size of an image.
const SIZE: u64 = 64 << 20;

/// Seconds between two commits of the file system.
const COMMIT: &str = "loop,commit=600";

/// The disks of all machines. They are unmounted on drop.
pub(super) struct Disks(Vec<Disk>);

struct Disk {
    image: PathBuf,
    mounted_at: PathBuf,
    cuts: u64,
}

impl Disks {
    /// Moves the directories of the node files, with the marks, onto disks of their own below
    /// `directory`.
    ///
    /// # Errors
    /// If images cannot be made or mounted: that needs root on Linux.
    pub(super) fn create(directory: &Path, files: &[PathBuf]) -> Result<Self, ProcessError> {
        let mut disks = Disks(Vec::new());
        for (place, file) in files.iter().enumerate() {
            let mounted_at = file.parent().unwrap_or(directory).to_owned();
            let text = fs::read_to_string(file).map_err(|error| failed(file, &error))?;
            // The mark is lost or kept with the store, as on one disk.
            let text = text.replace("mark = \"../marks/", "mark = \"marks/");
            let others = read_files(&mounted_at)?;
            let image = directory.join(format!("disk-{place}-0.img"));
            let made = fs::File::create(&image).and_then(|image| image.set_len(SIZE));
            made.map_err(|error| failed(&image, &error))?;
            run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
            mount(&image, &mounted_at)?;
            disks.0.push(Disk {
                image,
                mounted_at: mounted_at.clone(),
                cuts: 0,
            });
            for (name, bytes) in others {
                let file = mounted_at.join(name);
                write_private(&file, &bytes)?;
            }
            write_private(file, text.as_bytes())?;
        }
        run(&mut Command::new("sync"))?;
        Ok(disks)
    }

    /// Copies what the disks hold. The machines must stand still.
    pub(super) fn copy(&mut self) -> Result<(), ProcessError> {
        for disk in &self.0 {
            let copy = disk.copy();
            // Sparse: most of an image is empty.
            let mut command = Command::new("cp");
            run(command.arg("--sparse=always").args([&disk.image, &copy]))?;
        }
        Ok(())
    }

    /// Replaces the disks by their copies. The machines must have ended.
    pub(super) fn replace(&mut self) -> Result<(), ProcessError> {
        for disk in &mut self.0 {
            run(Command::new("umount").arg(&disk.mounted_at))?;
            let copy = disk.copy();
            let removed = fs::remove_file(&disk.image);
            removed.map_err(|error| failed(&disk.image, &error))?;
            disk.image = copy;
            disk.cuts += 1;
            mount(&disk.image, &disk.mounted_at)?;
        }
        Ok(())
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for disk in &self.0 {
            if let Err(error) = run(Command::new("umount").arg(&disk.mounted_at)) {
                crate::terminal::errln!("{error}");
            }
        }
    }
}

impl Disk {
    /// File of the next copy.
    fn copy(&self) -> PathBuf {
        self.image.with_extension(format!("{}.img", self.cuts + 1))
    }
}

fn mount(image: &Path, at: &Path) -> Result<(), ProcessError> {
    run(Command::new("mount").args(["-o", COMMIT]).args([image, at]))
}

/// The files of a directory with their contents.
fn read_files(directory: &Path) -> Result<Vec<(std::ffi::OsString, Vec<u8>)>, ProcessError> {
    let entries = fs::read_dir(directory).map_err(|error| failed(directory, &error))?;
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    files
        .map(|entry| {
            let bytes = fs::read(entry.path());
            let bytes = bytes.map_err(|error| failed(&entry.path(), &error))?;
            Ok((entry.file_name(), bytes))
        })
        .collect()
}

/// Writes a file that only its owner may read, as keys must be.
fn write_private(file: &Path, bytes: &[u8]) -> Result<(), ProcessError> {
    use std::io::Write;

    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(file)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| failed(file, &error))
}

fn run(command: &mut Command) -> Result<(), ProcessError> {
    // A library that keeps the machines from syncing must not keep these commands from it.
    let command = command.env_remove("LD_PRELOAD").stdin(Stdio::null());
    let output = command.output();
    let reason = match output {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(ProcessError::Disk {
        what: format!("{command:?}"),
        reason,
    })
}

fn failed(file: &Path, error: &std::io::Error) -> ProcessError {
    ProcessError::Disk {
        what: file.display().to_string(),
        reason: error.to_string(),
    }
}
