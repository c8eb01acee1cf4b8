//! Requests of the operator's tool: access, answers and errors.

use super::*;

#[tokio::test]
async fn request_of_the_operator_is_answered() {
    let mut a = Node::start(cluster(1).remove(0));
    let config = a.config.clone();
    let serve = async {
        let asked = timeout(PATIENCE, a.requests.recv())
            .await
            .expect("in time")
            .expect("a request");
        assert_eq!(asked.body, b"status");
        asked
            .respond
            .send(vec![7; MAX_RESPONSE])
            .expect("a waiting client");
    };
    let (answer, ()) = tokio::join!(request(&config, b"status".to_vec(), PATIENCE), serve);
    assert_eq!(answer.map(|answer| answer.len()), Ok(MAX_RESPONSE));
    timeout(PATIENCE, a.notify.notified())
        .await
        .expect("the node was woken");
}

#[test]
fn blocking_request_is_answered() {
    let node = cluster(1).remove(0);
    let config = node.config.clone();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut a = Node::start(node);
            let asked = a.requests.recv().await.expect("a request");
            asked
                .respond
                .send(b"fine".to_vec())
                .expect("a waiting client");
            let _ = ended.await;
        });
    });
    assert_eq!(
        client::request_blocking(&config, Vec::new(), PATIENCE),
        Ok(b"fine".to_vec())
    );
    drop(end);
    thread.join().expect("no panic");
}

#[tokio::test]
async fn failed_request_reports_its_reason() {
    let mut nodes = cluster(2).into_iter();
    let a = nodes.next().expect("n1");
    let silent = nodes.next().expect("n2");
    let config = a.config.clone();
    let short = Duration::from_millis(200);

    let unanswered = request(&silent.config, Vec::new(), short).await;
    assert_eq!(
        unanswered,
        Err(ClientError::Unreachable {
            address: silent.config.listen,
            max_wait: short
        })
    );
    assert!(unanswered.is_err_and(|error| !error.may_have_arrived()));

    let mut a = Node::start(a);
    assert_eq!(
        request(&config, vec![0; MAX_REQUEST + 1], PATIENCE).await,
        Err(ClientError::TooLarge)
    );
    assert_eq!(
        request(&config, Vec::new(), short).await,
        Err(ClientError::NoAnswer),
        "the request was not taken"
    );

    let dropped = async {
        drop(
            timeout(PATIENCE, async {
                (a.requests.recv().await, a.requests.recv().await)
            })
            .await,
        )
    };
    let (answer, ()) = tokio::join!(request(&config, Vec::new(), PATIENCE), dropped);
    assert_eq!(
        answer,
        Err(ClientError::NoAnswer),
        "the request was dropped"
    );
    assert!(answer.is_err_and(|error| error.may_have_arrived()));

    let long = async {
        let asked = timeout(PATIENCE, a.requests.recv())
            .await
            .expect("in time")
            .expect("a request");
        asked
            .respond
            .send(vec![0; MAX_RESPONSE + 1])
            .expect("a waiting client");
    };
    let (answer, ()) = tokio::join!(request(&config, Vec::new(), PATIENCE), long);
    assert_eq!(answer, Err(ClientError::TooLarge));
    assert!(
        answer.is_err_and(|error| error.may_have_arrived()),
        "the node handled it"
    );

    let mut foreign = config.clone();
    foreign.identity = crate::cluster::Identity::generate().expect("an identity");
    let refused = request(&foreign, Vec::new(), PATIENCE).await;
    assert_eq!(
        refused,
        Err(ClientError::Refused {
            address: config.listen
        })
    );
    let blocking = client::request_blocking(&config, Vec::new(), PATIENCE);
    assert!(
        matches!(blocking, Err(ClientError::Local { .. })),
        "{blocking:?}"
    );
}

#[tokio::test]
async fn requests_beyond_the_queue_are_refused_as_busy() {
    let a = Node::start(cluster(1).remove(0));
    let config = a.config.clone();
    let (_endpoint, connection) =
        connect(&config, config.listen, config.identity.fingerprint()).await;
    let mut waiting = Vec::new();
    // The node releases a stream only when it is reset, so a few connections are needed.
    let mut connections = vec![(_endpoint, connection)];
    while waiting.len() < REQUEST_QUEUE {
        if waiting.len() % MAX_REQUESTS as usize == 0 && !waiting.is_empty() {
            connections.push(connect(&config, config.listen, config.identity.fingerprint()).await);
        }
        let (_, connection) = connections.last().expect("one");
        let (mut send, receive) = timeout(PATIENCE, connection.open_bi())
            .await
            .expect("in time")
            .expect("a stream");
        send.write_all(b"?").await.expect("written");
        send.finish().expect("finished");
        waiting.push((send, receive));
    }
    eventually("full", || a.requests.len() == REQUEST_QUEUE).await;
    assert_eq!(
        request(&config, Vec::new(), PATIENCE).await,
        Err(ClientError::Busy)
    );
    assert_eq!(a.links.counters().refused_requests(), 1);
}

/// A client that was killed holds its connection only until the idle timeout.
#[tokio::test]
async fn client_releases_its_connection_after_its_answer() {
    let mut a = Node::start(cluster(1).remove(0));
    let config = a.config.clone();
    let free = |node: &Node| node.links.shared.clients.available_permits();
    let serve = async {
        let asked = timeout(PATIENCE, a.requests.recv())
            .await
            .expect("in time")
            .expect("a request");
        asked
            .respond
            .send(b"fine".to_vec())
            .expect("the client waits");
    };
    let (answer, ()) = tokio::join!(request(&config, Vec::new(), PATIENCE), serve);
    assert_eq!(answer, Ok(b"fine".to_vec()));
    eventually("closed by the client", || free(&a) == MAX_CLIENTS).await;

    let (_endpoint, connection) =
        connect(&config, config.listen, config.identity.fingerprint()).await;
    eventually("connected", || free(&a) == MAX_CLIENTS - 1).await;
    let closed = timeout(PATIENCE, connection.closed())
        .await
        .expect("an idle client is closed");
    assert!(
        matches!(closed, ConnectionError::ApplicationClosed(_)),
        "{closed}"
    );
    eventually("closed by the node", || free(&a) == MAX_CLIENTS).await;
}

#[tokio::test]
async fn clients_do_not_displace_members() {
    let mut nodes = cluster(2).into_iter();
    let a = Node::start(nodes.next().expect("n1"));
    let config = a.config.clone();
    let mut clients = Vec::new();
    for _ in 0..MAX_CLIENTS {
        let client = connect(&config, config.listen, config.identity.fingerprint()).await;
        // A stream with an unfinished request keeps the connection from being idle.
        let (mut send, receive) = timeout(PATIENCE, client.1.open_bi())
            .await
            .expect("in time")
            .expect("a stream");
        send.write_all(b"?").await.expect("written");
        clients.push((client, send, receive));
    }
    eventually("full", || a.links.shared.clients.available_permits() == 0).await;
    assert_eq!(
        request(&config, Vec::new(), PATIENCE).await,
        Err(ClientError::Busy)
    );
    let b = Node::start(nodes.next().expect("n2"));
    b.connected_to(1).await;
}

/// A member's requests are for the node; those of the operator's tool have another queue.
#[tokio::test]
async fn member_may_not_send_operator_requests() {
    let mut nodes = cluster(2).into_iter();
    let mut a = Node::start(nodes.next().expect("n1"));
    let b = nodes.next().expect("n2");
    let (_endpoint, connection) =
        connect(&b.config, a.config.listen, a.config.identity.fingerprint()).await;
    let (mut send, _receive) = timeout(PATIENCE, connection.open_bi())
        .await
        .expect("in time")
        .expect("a stream");
    send.write_all(b"a request").await.expect("written");
    send.finish().expect("the stream is open");
    let mut received = None;
    eventually("received", || {
        received = received.take().or_else(|| a.links.next_peer_request());
        received.is_some()
    })
    .await;
    let received = received.expect("a request");
    assert_eq!(received.from, RequestSource::Member(NodeId(2)));
    assert_eq!(received.body, b"a request");
    assert!(
        a.requests.try_recv().is_err(),
        "the operator's queue is empty"
    );
}
