//! A peer driven by the test itself, below the links.

use quinn::TokioRuntime;

use super::*;

/// Accepts one connection on `socket` with the identity in `config`, and sends an empty welcome
/// stream. The connection works as long as the returned endpoint is kept.
pub(super) async fn accept(config: &NodeConfig, socket: UdpSocket) -> (Endpoint, Connection) {
    let server = tls::server(&config.identity).expect("settings");
    let settings = quinn::EndpointConfig::default();
    let endpoint =
        Endpoint::new(settings, Some(server), socket, Arc::new(TokioRuntime)).expect("an endpoint");
    let incoming = timeout(PATIENCE, endpoint.accept())
        .await
        .expect("in time")
        .expect("a caller");
    let connection = incoming.await.expect("a connection");
    connection
        .open_uni()
        .await
        .expect("a welcome")
        .finish()
        .expect("an empty one");
    (endpoint, connection)
}
