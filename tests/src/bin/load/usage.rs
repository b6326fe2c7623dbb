//! What processes use: CPU seconds and memory, of ours and of the servers' apart.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::{Fleet, SERVICES};
use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// What was used at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Usage {
    /// CPU seconds so far, by service.
    pub(crate) cpu: BTreeMap<String, f64>,
    /// Resident memory, in megabytes, by service.
    pub(crate) memory: BTreeMap<String, f64>,
}

/// Looks at the processes of a fleet.
pub(crate) struct Meter {
    system: System,
    roots: BTreeMap<Pid, &'static str>,
    begun: Instant,
}

impl Meter {
    pub(crate) fn new(fleet: &Fleet) -> Self {
        let mut roots: BTreeMap<Pid, &'static str> =
            SERVICES.into_iter().map(|service| (Pid::from_u32(fleet.pid(service)), service)).collect();
        roots.insert(Pid::from_u32(fleet.nats.pid()), "nats");
        roots.insert(Pid::from_u32(fleet.postgres.pid()), "postgres");
        Self { system: System::new().expect("the system tells of its processes"), roots, begun: Instant::now() }
    }

    /// Since this meter was made.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Asks the system about all processes, which takes as long as several deployments. A server's children count as the server.
    pub(crate) fn read(&mut self) -> Usage {
        self.refresh(ProcessesToUpdate::All)
    }

    /// Asks about those alone that were there when it was asked about all.
    pub(crate) fn look(&mut self) -> Usage {
        let known: Vec<Pid> =
            self.system.processes().keys().filter(|pid| self.root(**pid).is_some()).copied().collect();
        self.refresh(ProcessesToUpdate::Some(&known))
    }

    fn refresh(&mut self, which: ProcessesToUpdate<'_>) -> Usage {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system.refresh_processes_specifics(which, true, what);
        let mut usage = Usage::default();
        for (pid, process) in self.system.processes() {
            let Some(service) = self.root(*pid) else { continue };
            #[expect(clippy::cast_precision_loss, reason = "seconds and megabytes")]
            let (cpu, memory) = (process.accumulated_cpu_time() as f64 / 1e3, process.memory() as f64 / 1e6);
            *usage.cpu.entry(service.to_owned()).or_default() += cpu;
            *usage.memory.entry(service.to_owned()).or_default() += memory;
        }
        usage
    }

    /// The service or server that a process belongs to.
    fn root(&self, pid: Pid) -> Option<&'static str> {
        let parent = || self.system.process(pid)?.parent();
        self.roots.get(&pid).or_else(|| self.roots.get(&parent()?)).copied()
    }
}

impl Usage {
    /// What was used since `before`.
    pub(crate) fn since(&self, before: &Self) -> BTreeMap<String, f64> {
        let used =
            |(name, cpu): (&String, &f64)| (name.clone(), cpu - before.cpu.get(name).copied().unwrap_or_default());
        self.cpu.iter().map(used).collect()
    }

    /// The memory of our own processes together, in megabytes.
    pub(crate) fn own_memory(&self) -> f64 {
        own(&self.memory)
    }
}

/// The sum over our own processes, without the servers.
pub(crate) fn own(of: &BTreeMap<String, f64>) -> f64 {
    of.iter().filter(|(name, _)| SERVICES.contains(&name.as_str())).map(|(_, value)| value).sum()
}
