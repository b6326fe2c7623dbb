//! A TCP proxy that stands between a service and its server, and can fail like a network: cut, stall, delay.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const CHUNK: usize = 16 * 1024;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Weather {
    /// Rises with each cut: older connections end.
    cuts: u64,
    /// Nothing passes, in either direction.
    stalled: bool,
    /// Each piece waits so long.
    delay: Duration,
}

/// A proxy in front of one server.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Starts on a free port in front of `server`, an address as `host:port`.
    pub async fn start(server: &str) -> Self {
        let server = server.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let calm = Weather { cuts: 0, stalled: false, delay: Duration::ZERO };
        let weather = Arc::new(watch::Sender::new(calm));
        let seen = Arc::clone(&weather);
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                // A server that is away refuses: the client is hung up on.
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(pass(client, server, seen.subscribe()));
            }
        });
        Self { address, weather, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `url` with this proxy in the place of its server.
    #[must_use]
    pub fn in_place_of(&self, server: &str, url: &str) -> String {
        url.replace(server, &self.address.to_string())
    }

    /// Ends all connections at once; new ones stand.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Lets nothing pass, or everything again.
    pub fn stall(&self, stalled: bool) {
        self.weather.send_modify(|weather| weather.stalled = stalled);
    }

    /// Lets each piece wait so long.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Passes on both directions until one ends or the connection is cut.
async fn pass(client: TcpStream, server: TcpStream, mut weather: watch::Receiver<Weather>) {
    let born = weather.borrow_and_update().cuts;
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = one_way(from_client, to_server, weather.clone()) => {}
        _ = one_way(from_server, to_client, weather.clone()) => {}
        _ = weather.wait_for(|weather| weather.cuts > born) => {}
    }
}

async fn one_way(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut weather: watch::Receiver<Weather>,
) -> std::io::Result<()> {
    let mut piece = vec![0; CHUNK];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let Ok(now) = weather.wait_for(|weather| !weather.stalled).await.map(|now| *now) else { return Ok(()) };
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        to.write_all(&piece[..length]).await?;
    }
}
