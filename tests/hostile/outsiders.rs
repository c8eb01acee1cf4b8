//! Attacks of those who are no members.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use raftian_node::cluster::Identity;

use super::Case;
use super::attacker::{
    EFFECT, Link, client, client_with_the_key_of_another, dial, endpoint, first_packets, flood,
    join_protocol, member_protocol, verdict, within,
};
use super::streams::{asked, reached, vote};

/// Length of a flood.
const FLOOD: Duration = Duration::from_secs(1);

pub(super) const CASES: &[Case] = &[
    Case::new("no certificate", "refused by TLS", |attacker| {
        Box::pin(async {
            let config = client(None, vec![member_protocol()]);
            verdict(dial(config, attacker.leader().config.listen).await)
        })
    }),
    Case::new(
        "certificate of a stranger",
        "closed after the handshake",
        |attacker| {
            Box::pin(async {
                let identity = Identity::generate().expect("an identity");
                let config = client(Some(&identity), vec![member_protocol()]);
                verdict(dial(config, attacker.leader().config.listen).await)
            })
        },
    ),
    Case::new(
        "certificate of a member, another key",
        "refused by TLS",
        |attacker| {
            Box::pin(async {
                let own = Identity::generate().expect("an identity");
                let shown = &attacker.stolen().config.identity;
                let config = client_with_the_key_of_another(shown, &own);
                verdict(dial(config, attacker.leader().config.listen).await)
            })
        },
    ),
    // It is that of the operator, who may ask and is otherwise disconnected after two seconds.
    Case::new(
        "key of the dialled member, without a request",
        "closed after the handshake",
        |attacker| {
            Box::pin(async {
                let to = &attacker.leader().config;
                let config = client(Some(&to.identity), vec![member_protocol()]);
                verdict(dial(config, to.listen).await)
            })
        },
    ),
    Case::new("unknown protocol", "no common protocol", |attacker| {
        Box::pin(async {
            let identity = &attacker.stolen().config.identity;
            let config = client(Some(identity), vec![b"raftian/0".to_vec()]);
            verdict(dial(config, attacker.leader().config.listen).await)
        })
    }),
    Case::new("no protocol", "no common protocol", |attacker| {
        Box::pin(async {
            let config = client(Some(&attacker.stolen().config.identity), vec![]);
            verdict(dial(config, attacker.leader().config.listen).await)
        })
    }),
    Case::new(
        "data before the handshake (0-RTT)",
        "not possible",
        |attacker| {
            Box::pin(async {
                let config = client(
                    Some(&attacker.stolen().config.identity),
                    vec![member_protocol()],
                );
                let to = attacker.leader().config.listen;
                // A first connection would bring the ticket that a second one needs.
                let first = dial(config.clone(), to).await.expect("a member is let in");
                tokio::time::sleep(EFFECT).await;
                let connecting = first
                    .endpoint
                    .connect_with(config, to, Identity::SERVER_NAME)
                    .expect("an attempt");
                match connecting.into_0rtt() {
                    Ok(_) => "sent".to_owned(),
                    Err(_) => "not possible".to_owned(),
                }
            })
        },
    ),
    Case::new(
        "garbage from one who asks to join",
        "refused with a reason",
        |attacker| {
            Box::pin(async {
                let identity = Identity::generate().expect("an identity");
                let config = client(Some(&identity), vec![join_protocol()]);
                let endpoint = endpoint();
                let to = attacker.leader().config.listen;
                let connecting = endpoint.connect_with(config, to, Identity::SERVER_NAME);
                let connection = within(connecting.expect("an attempt")).await;
                let connection = connection.expect("anyone may ask to join");
                let link = Link {
                    connection,
                    endpoint,
                };
                asked(&link, &[0xff; 4_096]).await
            })
        },
    ),
    Case::new(
        "everything that a member has sent, sent again",
        "nothing is received twice",
        |attacker| Box::pin(replay(attacker)),
    ),
    Case::new("64 who ask to join and say nothing", "closed", |attacker| {
        Box::pin(async {
            let to = attacker.leader().config.listen;
            let endpoint = endpoint();
            let mut kept = Vec::new();
            for _ in 0..64 {
                let identity = Identity::generate().expect("an identity");
                let config = client(Some(&identity), vec![join_protocol()]);
                let connecting = endpoint.connect_with(config, to, Identity::SERVER_NAME);
                if let Ok(connection) = within(connecting.expect("an attempt")).await {
                    kept.push(connection);
                }
            }
            // The first ones are closed, or the last ones: the number is bounded.
            tokio::time::sleep(EFFECT).await;
            let open = kept
                .iter()
                .filter(|one| one.close_reason().is_none())
                .count();
            match open {
                0..=16 => "closed".to_owned(),
                open => format!("{open} stay open"),
            }
        })
    }),
    Case::new(
        "datagrams of random bytes, 4,000/s",
        "members get through",
        |attacker| {
            Box::pin(async {
                let mut random = 0x2545_f491_4f6c_dd1d_u64;
                let mut byte = || {
                    // Xorshift: any bytes will do.
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random as u8
                };
                let packets: Vec<Vec<u8>> = (0..64)
                    .map(|size| (0..20 * size + 20).map(|_| byte()).collect())
                    .collect();
                let from = [UdpSocket::bind("127.0.0.2:0").expect("a port")];
                let to = attacker.leader().config.listen;
                flood(&packets, &from, to, 4_000, FLOOD).await;
                reached(attacker, attacker.leader()).await
            })
        },
    ),
    Case::new(
        "first packets, 400/s",
        "members and operator get in",
        |attacker| Box::pin(flood_of_first_packets(attacker, 400, 1)),
    ),
    Case::new(
        "first packets, 4,000/s",
        "members and operator get in",
        |attacker| Box::pin(flood_of_first_packets(attacker, 4_000, 1)),
    ),
    Case::new(
        "first packets from 64 false sources, 4,000/s",
        "members and operator get in",
        |attacker| Box::pin(flood_of_first_packets(attacker, 4_000, 64)),
    ),
];

/// During a flood of first packets, a member connects anew and the operator is let in.
async fn flood_of_first_packets(
    attacker: &super::Attacker,
    per_second: u32,
    sources: u8,
) -> String {
    let packets = first_packets(256).await;
    let from: Vec<_> = (0..sources)
        .map(|source| {
            let address = Ipv4Addr::new(127, 0, 1, source + 1);
            UdpSocket::bind(SocketAddr::from((address, 0))).expect("a port")
        })
        .collect();
    let to = attacker.leader().config.listen;
    let flood = flood(&packets, &from, to, per_second, FLOOD);
    let connect = async {
        tokio::time::sleep(EFFECT / 2).await;
        let identity = &attacker.stolen().config.identity;
        let member = client(Some(identity), vec![member_protocol()]);
        if let Err(error) = dial(member, to).await {
            return format!("the member is kept out: {error}");
        }
        tokio::time::sleep(EFFECT / 2).await;
        let identity = &attacker.leader().config.identity;
        let operator = client(Some(identity), vec![member_protocol()]);
        let endpoint = endpoint();
        let connecting = endpoint.connect_with(operator, to, Identity::SERVER_NAME);
        match within(connecting.expect("an attempt")).await {
            Ok(_) => "members and operator get in".to_owned(),
            Err(error) => format!("the operator is kept out: {error}"),
        }
    };
    let ((), outcome) = tokio::join!(flood, connect);
    outcome
}

/// Records the datagrams of a member's session on their way, and sends them again.
async fn replay(attacker: &super::Attacker) -> String {
    let to = attacker.leader();
    let way = Arc::new(
        tokio::net::UdpSocket::bind("127.0.0.1:0")
            .await
            .expect("a port"),
    );
    let outside = Arc::new(
        tokio::net::UdpSocket::bind("127.0.0.1:0")
            .await
            .expect("a port"),
    );
    let entrance = way.local_addr().expect("its address");
    let recorded = Arc::new(Mutex::new(Vec::<Vec<u8>>::new()));
    let forward = tokio::spawn({
        let way = Arc::clone(&way);
        let outside = Arc::clone(&outside);
        let recorded = Arc::clone(&recorded);
        let to = to.config.listen;
        async move {
            let mut client = None;
            let mut inner = vec![0; 2_048];
            let mut outer = vec![0; 2_048];
            loop {
                tokio::select! {
                    received = way.recv_from(&mut inner) => {
                        let Ok((size, from)) = received else { continue };
                        client = Some(from);
                        recorded.lock().expect("no panic").push(inner[..size].to_vec());
                        let _lost = outside.send_to(&inner[..size], to).await.is_err();
                    }
                    received = outside.recv_from(&mut outer) => {
                        if let (Ok((size, _)), Some(client)) = (received, client) {
                            let _lost = way.send_to(&outer[..size], client).await.is_err();
                        }
                    }
                }
            }
        }
    });
    let identity = &attacker.stolen().config.identity;
    let config = client(Some(identity), vec![member_protocol()]);
    let link = dial(config, entrance).await.expect("a member is let in");
    let before = attacker.received(to);
    let messages = vec![vote(attacker, to); 20];
    attacker.send(&link, &messages).await;
    let deadline = Instant::now() + super::attacker::PATIENCE;
    while attacker.received(to) < before + 20 {
        assert!(Instant::now() < deadline, "the messages arrive at first");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    forward.abort();
    let before = attacker.received(to);
    let datagrams = recorded.lock().expect("no panic").clone();
    let other = UdpSocket::bind("127.0.0.3:0").expect("a port");
    for datagram in &datagrams {
        let _lost = outside.send_to(datagram, to.config.listen).await.is_err();
        let _lost = other.send_to(datagram, to.config.listen).is_err();
    }
    tokio::time::sleep(EFFECT).await;
    match attacker.received(to) - before {
        0 => "nothing is received twice".to_owned(),
        more => format!("{more} messages are received again"),
    }
}
