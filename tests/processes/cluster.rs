//! A cluster of real processes on free ports, in a temporary directory.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Timeout of [`eventually`]: generous, because the machine may be busy; a healthy cluster needs a
/// second, and a lesson in a window that is drawn without a GPU half a minute.
pub(crate) const WAIT: Duration = Duration::from_secs(180);

/// Runs the program until it exits.
pub(crate) fn raftian(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raftian"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program can be started")
}

/// Waits until `condition` holds; panics with `what` after [`WAIT`].
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {WAIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

pub(crate) struct Cluster {
    directory: tempfile::TempDir,
    configs: Vec<String>,
    members: Vec<Option<Child>>,
}

impl Cluster {
    /// Creates the files of a cluster of `nodes` members without starting them.
    pub(crate) fn new(nodes: usize) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("cluster");
        let base_port = free_ports(nodes as u16).to_string();
        let path_text = path.to_str().expect("a temporary path is text");
        let made = raftian(&[
            "cluster",
            "new",
            path_text,
            "--nodes",
            &nodes.to_string(),
            "--base-port",
            &base_port,
        ]);
        assert!(made.status.success(), "{made:?}");
        let configs: Vec<String> = String::from_utf8_lossy(&made.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        assert_eq!(configs.len(), nodes, "one path a line: {made:?}");
        assert!(configs.iter().all(|config| Path::new(config).is_file()));
        Cluster {
            directory,
            configs,
            members: (0..nodes).map(|_| None).collect(),
        }
    }

    pub(crate) fn directory(&self) -> &str {
        self.directory
            .path()
            .to_str()
            .expect("a temporary path is text")
    }

    pub(crate) fn config(&self, id: u64) -> &str {
        &self.configs[id as usize - 1]
    }

    pub(crate) fn store(&self, id: u64) -> PathBuf {
        Path::new(self.config(id))
            .with_file_name("data")
            .join("raft.redb")
    }

    pub(crate) fn start_all(&mut self) {
        for id in 1..=self.configs.len() as u64 {
            self.start(id);
        }
        self.leader();
    }

    /// Starts a member and waits until it responds.
    pub(crate) fn start(&mut self, id: u64) {
        self.start_with(id, &["node"], |_| {});
    }

    /// Starts a member with this subcommand and its flags, and waits until it responds.
    pub(crate) fn start_with(
        &mut self,
        id: u64,
        command: &[&str],
        set_up: impl FnOnce(&mut Command),
    ) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_raftian"));
        program
            .args(command)
            .args(["--config", self.config(id)])
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        set_up(&mut program);
        let child = program.spawn().expect("the program can be started");
        self.members[id as usize - 1] = Some(child);
        eventually("the member responds", || {
            raftian(&["status", "--config", self.config(id), "--json"])
                .status
                .success()
        });
    }

    /// Returns copies of the files of a stopped member: its store and its mark.
    pub(crate) fn back_up(&self, id: u64) -> [Vec<u8>; 2] {
        [self.store(id), self.mark(id)]
            .map(|file| std::fs::read(file).expect("a file of the member"))
    }

    /// Restores both files, as a restore of the whole machine does.
    pub(crate) fn put_back(&self, id: u64, [store, mark]: &[Vec<u8>; 2]) {
        for (file, bytes) in [(self.store(id), store), (self.mark(id), mark)] {
            std::fs::write(file, bytes).expect("files of the member can be written");
        }
    }

    fn mark(&self, id: u64) -> PathBuf {
        let text = self.file(id);
        let line = text.lines().find(|line| line.starts_with("mark = "));
        let mark = line.and_then(|line| line.split('"').nth(1));
        let home = Path::new(self.config(id)).parent();
        home.expect("the file is in a directory")
            .join(mark.expect("the file names a mark"))
    }

    /// Removes the store and the mark of a stopped member, as if its machine were set up again.
    pub(crate) fn lose_disk(&self, id: u64) {
        for file in [self.store(id), self.mark(id)] {
            std::fs::remove_file(file).expect("a file of the member");
        }
    }

    /// Removes the members from `from` on from the list of a member.
    pub(crate) fn list_members_before(&self, id: u64, from: u64) {
        let file = self.config(id);
        let text = std::fs::read_to_string(file).expect("a node file is text");
        let kept = text.split("[[member]]").take(from as usize);
        let kept: Vec<_> = kept.collect();
        std::fs::write(file, kept.join("[[member]]")).expect("a node file can be written");
    }

    /// The node file of a member as text.
    pub(crate) fn file(&self, id: u64) -> String {
        std::fs::read_to_string(self.config(id)).expect("a node file is text")
    }

    pub(crate) fn write_file(&self, id: u64, text: &str) {
        std::fs::write(self.config(id), text).expect("a node file can be written");
    }

    /// Runs a member that must exit by itself.
    pub(crate) fn run_to_its_end(&self, id: u64) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_raftian"))
            .args(["node", "--config", self.config(id)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let deadline = Instant::now() + WAIT;
        while child.try_wait().expect("it is our child").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("a child can be killed");
                panic!("n{id} does not exit: {:?}", child.wait_with_output());
            }
            std::thread::sleep(Duration::from_millis(30));
        }
        child.wait_with_output().expect("it has ended")
    }

    /// Simulates a power cut with SIGKILL.
    pub(crate) fn kill(&mut self, id: u64) {
        let mut child = self.members[id as usize - 1]
            .take()
            .expect("the member runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// Whether the process of a member still runs.
    pub(crate) fn runs(&mut self, id: u64) -> bool {
        let child = self.members[id as usize - 1]
            .as_mut()
            .expect("the member was started");
        child.try_wait().expect("it is our child").is_none()
    }

    /// Sends a signal, named as for `kill`, to the process of a member.
    pub(crate) fn signal(&self, id: u64, signal: &str) {
        let child = self.members[id as usize - 1]
            .as_ref()
            .expect("the member runs");
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Sends SIGTERM and returns the exit code.
    pub(crate) fn terminate(&mut self, id: u64) -> Option<i32> {
        self.signal(id, "TERM");
        let mut child = self.members[id as usize - 1]
            .take()
            .expect("the member runs");
        child.wait().expect("a terminated child ends").code()
    }

    pub(crate) fn status(&self, id: u64) -> Value {
        let output = raftian(&["status", "--config", self.config(id), "--json"]);
        assert!(output.status.success(), "{output:?}");
        let status: Value = serde_json::from_slice(&output.stdout).expect("a status is JSON");
        assert_eq!(status["schema"], "raftian.status/1");
        status
    }

    /// Waits until all running members follow one leader and returns its id.
    pub(crate) fn leader(&self) -> u64 {
        let running: Vec<u64> = (1..)
            .zip(&self.members)
            .filter(|(_, child)| child.is_some())
            .map(|(id, _)| id)
            .collect();
        let mut leader = None;
        eventually("one leader is followed by all", || {
            let leaders: Vec<_> = running
                .iter()
                .map(|id| self.status(*id)["leader"].as_u64())
                .collect();
            leader = leaders[0];
            leader.is_some() && leaders.iter().all(|other| *other == leader)
        });
        leader.expect("it was just seen")
    }

    /// Proposes an attack at the member and returns the JSON document of its commit.
    pub(crate) fn order(&self, id: u64, city: u8) -> Value {
        let city = city.to_string();
        let output = raftian(&[
            "order",
            "--config",
            self.config(id),
            "attack",
            &city,
            "--json",
            "--timeout",
            "30",
        ]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("an order's answer is JSON")
    }

    /// Address the member listens on.
    pub(crate) fn address(&self, id: u64) -> String {
        address(Path::new(self.config(id)), id)
    }

    /// Configures every member to take a snapshot every `entries` entries.
    pub(crate) fn snapshot_every(&self, entries: u64) {
        for config in &self.configs {
            rewrite(
                Path::new(config),
                "snapshot_entries = 4096",
                &format!("snapshot_entries = {entries}"),
            );
        }
    }

    /// Replaces the member's key by one of another cluster. Its own file stays consistent; the
    /// other members still expect the old key.
    pub(crate) fn forge_key(&self, id: u64) {
        let other = Cluster::new(1);
        let own = Path::new(self.config(id));
        let foreign = Path::new(other.config(1));
        for file in ["key.pem", "certificate.pem"] {
            std::fs::copy(foreign.with_file_name(file), own.with_file_name(file))
                .expect("keys are files");
        }
        let before = fingerprint(own, id);
        let after = fingerprint(foreign, 1);
        rewrite(own, &before, &after);
    }

    /// Swaps the addresses of two members in the member's file, so that commands with this file
    /// reach the other member.
    pub(crate) fn point_at(&self, id: u64, other: u64) {
        let own = Path::new(self.config(id));
        let mine = address(own, id);
        let theirs = address(own, other);
        rewrite(own, &mine, "127.0.0.1:1");
        rewrite(own, &theirs, &mine);
        rewrite(own, "127.0.0.1:1", &theirs);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.members.iter_mut().flatten() {
            let _ended_already = child.kill().is_err();
            let _ended_already = child.wait().is_err();
        }
    }
}

fn rewrite(file: &Path, before: &str, after: &str) {
    let text = std::fs::read_to_string(file).expect("a node file is text");
    assert!(text.contains(before), "{before} is in {}", file.display());
    std::fs::write(file, text.replace(before, after)).expect("a node file can be written");
}

/// Returns a value of the `[[member]]` with this id, without using the program's own parser.
fn member_value(file: &Path, id: u64, key: &str) -> String {
    let text = std::fs::read_to_string(file).expect("a node file is text");
    let members = text.split("[[member]]").skip(1);
    let member = members.into_iter().find(|member| {
        member
            .lines()
            .any(|line| line.trim() == format!("id = {id}"))
    });
    let line = member
        .expect("the member is listed")
        .lines()
        .find(|line| line.starts_with(key))
        .expect("it has the key");
    line.split('"')
        .nth(1)
        .expect("the value is text")
        .to_owned()
}

fn fingerprint(file: &Path, id: u64) -> String {
    member_value(file, id, "fingerprint")
}

fn address(file: &Path, id: u64) -> String {
    member_value(file, id, "address")
}

/// Returns the first of `count` consecutive UDP ports that are currently free.
fn free_ports(count: u16) -> u16 {
    let free = |port: u16| UdpSocket::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..1000 {
        let probe = UdpSocket::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port is free");
        let first = probe.port();
        if first < u16::MAX - count && (first..first + count).all(free) {
            return first;
        }
    }
    panic!("no {count} consecutive free ports");
}
