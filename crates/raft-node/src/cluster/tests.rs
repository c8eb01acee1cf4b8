use std::fs;

use super::*;

fn made(options: &NewCluster) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().expect("a directory");
    let files = generate(&directory.path().join("match"), options).expect("a new cluster");
    (directory, files)
}

#[test]
fn generated_cluster_reads_back_as_requested() {
    let (directory, files) = made(&NewCluster::default());
    let base = directory.path().join("match");
    let nodes: Vec<_> = files
        .iter()
        .map(|file| NodeFile::read(file).expect("a valid file"))
        .collect();
    assert_eq!(nodes.len(), 5);
    for (at, node) in nodes.iter().enumerate() {
        let id = at as u64 + 1;
        assert_eq!(node.id, NodeId(id));
        assert_eq!(files[at], base.join(format!("n{id}/node.toml")));
        assert_eq!(node.data, base.join(format!("n{id}/data")));
        assert_eq!(
            node.listen,
            SocketAddr::from(([127, 0, 0, 1], 7999 + id as u16))
        );
        assert_eq!(
            node.members, nodes[0].members,
            "all files list the same members"
        );
        assert_eq!(
            node.member(node.id).expect("itself").fingerprint,
            node.identity.fingerprint()
        );
        assert_eq!(node.timing, Timing::default());
        assert_eq!(node.snapshot_entries, SNAPSHOT_ENTRIES);
        assert_eq!(node.cluster, nodes[0].cluster);
        assert!(
            node.founders()
                .expect("a cluster")
                .voters()
                .eq(node.members.iter().map(|member| member.id))
        );
    }
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["raftian", "bob1", "bob2", "bob3", "bob4"]);
    assert!(
        nodes[0].cluster.starts_with("raftian-") && nodes[0].cluster.len() == 16,
        "{}",
        nodes[0].cluster
    );
    let (_other, files) = made(&NewCluster::default());
    assert_ne!(
        NodeFile::read(&files[0]).expect("a valid file").cluster,
        nodes[0].cluster
    );
}

#[test]
fn names_with_special_characters_survive() {
    let name = "Zoë \"the # hash\" \\ '".to_owned();
    let options = NewCluster {
        nodes: 2,
        name: "l'été".to_owned(),
        member_names: vec![name.clone()],
        ..Default::default()
    };
    let (_directory, files) = made(&options);
    let node = NodeFile::read(&files[1]).expect("a valid file");
    assert_eq!(
        (node.members[0].name.as_str(), node.name.as_str()),
        (name.as_str(), "bob1")
    );
    assert!(node.cluster.starts_with("l'été-"));
}

#[cfg(unix)]
#[test]
fn key_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, files) = made(&NewCluster {
        nodes: 1,
        ..Default::default()
    });
    let key = files[0].with_file_name("key.pem");
    assert_eq!(
        fs::metadata(key).expect("a key").permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn directory_that_is_not_empty_is_left_unchanged() {
    let (directory, _) = made(&NewCluster::default());
    let base = directory.path().join("match");
    let key = fs::read(base.join("n1/key.pem")).expect("a key");
    let again = generate(&base, &NewCluster::default());
    assert_eq!(again, Err(ClusterError::NotEmpty { path: base.clone() }));
    assert_eq!(fs::read(base.join("n1/key.pem")).expect("a key"), key);
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    assert!(
        generate(
            &empty,
            &NewCluster {
                nodes: 1,
                ..Default::default()
            }
        )
        .is_ok()
    );
}

#[test]
fn impossible_cluster_is_refused_before_writing() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("match");
    let slow = Timing {
        heartbeat: Duration::from_millis(200),
        ..Timing::default()
    };
    let impossible = [
        (
            "nodes",
            NewCluster {
                nodes: 0,
                ..Default::default()
            },
        ),
        (
            "nodes",
            NewCluster {
                nodes: 10,
                ..Default::default()
            },
        ),
        (
            "base port",
            NewCluster {
                // Five ports from here on exceed 65535.
                base_port: 65533,
                ..Default::default()
            },
        ),
        (
            "base port",
            NewCluster {
                base_port: 0,
                ..Default::default()
            },
        ),
        (
            "name",
            NewCluster {
                name: String::new(),
                ..Default::default()
            },
        ),
        (
            "name",
            NewCluster {
                name: "a\nb".to_owned(),
                ..Default::default()
            },
        ),
        (
            "member names",
            NewCluster {
                nodes: 1,
                member_names: vec!["a".into(), "b".into()],
                ..Default::default()
            },
        ),
        (
            "host",
            NewCluster {
                host: Ipv4Addr::UNSPECIFIED.into(),
                ..Default::default()
            },
        ),
        (
            "timing.election_ms",
            NewCluster {
                timing: slow,
                ..Default::default()
            },
        ),
    ];
    for (expected, options) in impossible {
        match generate(&path, &options) {
            Err(ClusterError::Invalid { key, .. }) => assert_eq!(key, expected),
            other => panic!("{options:?} gave {other:?}"),
        }
        assert!(!path.exists());
    }
}

/// Returns the error for a node file in which `from` was replaced by `to`.
fn complaint(from: &str, to: &str) -> String {
    let (_directory, files) = made(&NewCluster {
        nodes: 2,
        ..Default::default()
    });
    let text = fs::read_to_string(&files[0]).expect("a node file");
    assert!(text.contains(from), "{text}");
    fs::write(&files[0], text.replacen(from, to, 1)).expect("a node file");
    let error = NodeFile::read(&files[0]).expect_err(to).to_string();
    assert!(
        error.contains("n1/node.toml"),
        "the error must name the file: {error}"
    );
    error
}

#[test]
fn node_file_error_names_the_key_and_a_remedy() {
    let fingerprints =
        |text: &str| text.contains("sha256:") && text.contains("64 hexadecimal digits");
    assert!(complaint("schema = 1", "schema = 2").contains("`schema`: it is 2"));
    assert!(complaint("heartbeat_ms", "heart_beat_ms").contains("heart_beat_ms"));
    assert!(
        complaint("\nid = 1", "\nid = 3")
            .contains("`id`: no member has the id 3; use the id of one")
    );
    assert!(
        complaint("[[member]]\nid = 1", "[[member]]\nid = 2").contains("two members have this id")
    );
    assert!(fingerprints(&complaint("sha256:", "sha1:")));
    assert!(fingerprints(&complaint("sha256:", "sha256:00")));
    assert!(complaint("[150, 300]", "[300, 150]").contains("not before"));
    assert!(complaint("[150, 300]", "[99, 300]").contains("less than two heartbeats"));
    assert!(complaint("heartbeat_ms = 50", "heartbeat_ms = 0").contains("heartbeat_ms`: it is 0"));
    let address = |to: &str| {
        complaint(
            "address = \"127.0.0.1:8001\"",
            &format!("address = \"{to}\""),
        )
    };
    assert!(address("0.0.0.0:8001").contains("stands for all addresses"));
    assert!(address("192.168.1.7:0").contains("the port is 0"));
    assert!(address("224.0.0.9:8001").contains("multicast"));
    assert!(address("255.255.255.255:8001").contains("broadcast"));
    assert!(address("[::ffff:224.0.0.9]:8001").contains("multicast"));
    assert!(
        address("example.org")
            .contains("`member 2 address`: \"example.org\" is not an IP address or host name")
    );
    assert!(address("127.0.0.1:8000").contains("another member has the address"));
    assert!(
        address("[::1]:8001").contains("cannot be reached from 127.0.0.1:8000; use IPv4 addresses")
    );
    assert!(
        address("192.168.1.7:8001")
            .contains("`listen`: 192.168.1.7:8001 cannot be reached from 127.0.0.1:8000")
    );
    let listen = |to: &str| complaint("listen = \"127.0.0.1:8000\"", &format!("listen = \"{to}\""));
    assert!(
        listen("localhost:8000")
            .contains("\"localhost:8000\" is not an IP address and a port; write one such as")
    );
    assert!(
        listen("127.0.0.1:0")
            .contains("`listen`: no node can listen on 127.0.0.1:0: the port is 0")
    );
    assert!(listen("[ff02::1]:8000").contains("multicast"));
    let elsewhere = complaint(
        "address = \"127.0.0.1:8000\"",
        "address = \"192.168.1.7:8000\"",
    );
    assert!(
        elsewhere.contains("127.0.0.1:8000 is reachable only from this machine"),
        "{elsewhere}"
    );
    assert!(complaint("name = \"bob1\"", "name = \"\"").contains("the name is empty"));
    assert!(complaint("cluster = \"", "cluster = \" ").contains("`cluster`"));
    assert!(complaint("schema = 1", "schema = ").contains("not a valid node file"));
    assert!(
        complaint("snapshot_entries = 4096", "snapshot_entries = 0")
            .contains("`snapshot_entries`: it is 0")
    );
}

#[test]
fn snapshot_entries_has_a_default() {
    let (_directory, files) = made(&NewCluster {
        nodes: 1,
        ..Default::default()
    });
    let text = fs::read_to_string(&files[0]).expect("a node file");
    for (line, entries) in [("", SNAPSHOT_ENTRIES), ("snapshot_entries = 7\n", 7)] {
        fs::write(&files[0], text.replace("snapshot_entries = 4096\n", line)).expect("a node file");
        assert_eq!(
            NodeFile::read(&files[0])
                .expect("a valid file")
                .snapshot_entries,
            entries
        );
    }
}

#[test]
fn key_or_certificate_of_another_node_is_refused() {
    let (_directory, files) = made(&NewCluster {
        nodes: 2,
        ..Default::default()
    });
    let swap = |name: &str| {
        fs::copy(files[1].with_file_name(name), files[0].with_file_name(name)).expect("a copy")
    };
    swap("key.pem");
    let error = NodeFile::read(&files[0])
        .expect_err("a foreign key")
        .to_string();
    assert!(
        error.contains("`key`") && error.contains("generated with"),
        "{error}"
    );
    swap("certificate.pem");
    let error = NodeFile::read(&files[0])
        .expect_err("a foreign certificate")
        .to_string();
    assert!(
        error.contains("`certificate`") && error.contains("member 1 is sha256:"),
        "{error}"
    );
    fs::write(files[0].with_file_name("certificate.pem"), "nothing").expect("a file");
    let error = NodeFile::read(&files[0])
        .expect_err("no certificate")
        .to_string();
    assert!(
        error.contains("certificate.pem") && error.contains("PEM certificate"),
        "{error}"
    );
    fs::remove_file(files[0].with_file_name("certificate.pem")).expect("a file");
    let error = NodeFile::read(&files[0])
        .expect_err("no certificate")
        .to_string();
    assert!(
        error.contains("cannot read") && error.contains("certificate.pem"),
        "{error}"
    );
}

#[test]
fn invalid_node_file_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(matches!(
        NodeFile::read(directory.path()),
        Err(ClusterError::Unreadable { .. })
    ));
    let file = directory.path().join("node.toml");
    fs::write(&file, [0xff, 0xfe]).expect("a file");
    assert!(matches!(
        NodeFile::read(&file),
        Err(ClusterError::Syntax { .. })
    ));
    fs::write(&file, vec![b'#'; MAX_FILE as usize + 1]).expect("a file");
    assert!(matches!(
        NodeFile::read(&file),
        Err(ClusterError::Unreadable { .. })
    ));
}

#[test]
fn embedded_cluster_has_open_ports_and_no_files() {
    let directory = tempfile::tempdir().expect("a directory");
    let nodes = embedded(3, "lab", directory.path()).expect("a cluster");
    for node in &nodes {
        assert_eq!(
            node.socket.local_addr().expect("an address"),
            node.config.listen
        );
        assert_eq!(
            node.config.member(node.config.id).expect("itself").address,
            node.config.listen.into()
        );
        assert_eq!(node.config.members, nodes[0].config.members);
    }
    assert_eq!(nodes[2].config.data, directory.path().join("n3"));
    assert_eq!(
        fs::read_dir(directory.path()).expect("a directory").count(),
        0
    );
    assert!(embedded(10, "lab", directory.path()).is_err());
}

#[test]
fn fingerprint_round_trips_through_text() {
    let fingerprint = Fingerprint::of(b"abc");
    let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(fingerprint.to_string(), text);
    assert_eq!(text.parse(), Ok(fingerprint));
    for wrong in [
        "",
        "sha256:",
        &text[7..],
        &text[..70],
        "sha256:é816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ] {
        assert_eq!(wrong.parse::<Fingerprint>(), Err(ParseFingerprintError));
    }
}

#[test]
fn identity_does_not_print_its_key() {
    let identity = Identity::generate().expect("an identity");
    assert_eq!(identity.clone().fingerprint(), identity.fingerprint());
    let text = format!("{identity:?}");
    assert!(text.contains("sha256:") && text.len() < 120, "{text}");
}
