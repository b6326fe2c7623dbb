//! A cluster of NATS servers on one machine, with a proxy in each direction between every two of them, so that the network between
//! them can be cut.

use std::collections::BTreeMap;

use async_nats::jetstream;
use embedded::{Nats, Postgres};
use futures::future;

use crate::fleet::{Fleet, nats_program};
use crate::{Proxy, eventually, free_address};

/// How many servers there are, and on how many of them each stream lies.
const NODES: usize = 3;

/// The network between the servers: the proxy of each pair, who connects and to whom.
#[derive(Debug, Default)]
pub(crate) struct Routes(BTreeMap<(usize, usize), Proxy>);

impl Fleet {
    /// Starts three NATS servers and a PostgreSQL; the streams will lie on all three. No service runs yet.
    pub async fn servers_in_a_cluster(environment: &[(&str, &str)]) -> Self {
        let folder = embedded::temporary_folder().expect("a temporary folder");
        let listen: Vec<String> = (0..NODES).map(|_| free_address()).collect();
        let mut routes = BTreeMap::new();
        for (from, to) in pairs() {
            routes.insert((from, to), Proxy::start(&listen[to]).await);
        }
        let nodes = (0..NODES).map(|node| {
            let others = (0..NODES).filter(|other| *other != node);
            let urls: Vec<String> =
                others.map(|other| format!("nats://{}", routes[&(node, other)].address())).collect();
            // They also tell one another where they are; behind what is told nobody listens, so that every route has its proxy.
            let extra = format!(
                "server_name: {}\ncluster {{\n  name: failsafe\n  listen: \"{}\"\n  advertise: \"127.0.0.1:9\"\n  \
                 no_advertise: true\n  routes: {urls:?}\n}}\n",
                name(node),
                listen[node],
            );
            let folder = folder.path().join(name(node));
            async move { Nats::start_with(&folder, nats_program(), &extra).await.expect("a NATS server") }
        });
        let (nodes, postgres) = tokio::join!(future::join_all(nodes), Postgres::start(folder.path()));
        let postgres = postgres.expect("a PostgreSQL");
        let mut all = vec![("FAILSAFE__NATS__REPLICAS", "3")];
        all.extend(environment);
        let fleet = Self::around(folder, nodes, Routes(routes), postgres, &all);
        let jetstream = fleet.jetstream().await;
        eventually("the cluster has chosen a leader", async || {
            let account: serde_json::Value = jetstream.request("INFO", &()).await.ok()?;
            account.get("error").is_none().then_some(())
        })
        .await;
        fleet
    }

    /// All servers of NATS.
    pub fn nodes(&self) -> impl Iterator<Item = &Nats> {
        std::iter::once(&self.nats).chain(&self.peers)
    }

    /// One server of NATS, by its number from 0.
    pub fn node(&mut self, number: usize) -> &mut Nats {
        if number == 0 { &mut self.nats } else { &mut self.peers[number - 1] }
    }

    /// The number of the server that leads `stream`; `None` while there is none.
    pub async fn leader(&self, jetstream: &jetstream::Context, stream: &str) -> Option<usize> {
        let leader = jetstream.get_stream(stream).await.ok()?.cached_info().cluster.as_ref()?.leader.clone()?;
        (0..NODES).find(|node| name(*node) == leader)
    }

    /// Lets nothing pass between that server and the others, or everything again.
    pub fn isolate(&self, number: usize, isolated: bool) {
        for (_, proxy) in self.routes.0.iter().filter(|((from, to), _)| *from == number || *to == number) {
            proxy.stall(isolated);
        }
    }
}

fn name(node: usize) -> String {
    format!("node-{node}")
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..NODES).flat_map(|from| (0..NODES).filter(move |to| *to != from).map(move |to| (from, to)))
}
