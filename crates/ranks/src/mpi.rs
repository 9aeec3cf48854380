//! Ranks that are processes of an MPI launcher.

use crate::{Ranks, RanksError};
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;

/// Variables that launchers give to every process that they start.
const LAUNCHED: [&str; 5] =
    ["OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "PMI_ID", "MV2_COMM_WORLD_RANK"];
/// The most bytes that a rank hands out in one call of MPI, whose counts and places are of 31 bits.
const MOST: usize = 1 << 30;

/// One process of those that a launcher started. There is one such value in a process; MPI ends with it.
pub struct Mpi {
    world: SimpleCommunicator,
    local: usize,
    on_machine: usize,
    // The last to be dropped.
    _universe: Universe,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mpi").field("rank", &self.rank()).field("count", &self.count()).finish()
    }
}

impl Mpi {
    /// Joins the others, if a launcher started this process; its main thread makes all calls.
    pub fn launched() -> Option<Self> {
        LAUNCHED.iter().find(|name| std::env::var_os(name).is_some())?;
        let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
        let world = universe.world();
        let machine = world.split_shared(world.rank());
        let (local, on_machine) = (machine.rank(), machine.size());
        let [local, on_machine] = [local, on_machine].map(|n| usize::try_from(n).unwrap_or(0));
        Some(Self { world, local, on_machine: on_machine.max(1), _universe: universe })
    }

    /// Ends every rank, with this exit code where the launcher hands it on. Also for a thread that makes no other calls,
    /// as that of a panic.
    pub fn abort(code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }

    /// The most of what the ranks have here.
    fn most(&self, own: u64) -> u64 {
        let mut most = 0_u64;
        self.world.all_reduce_into(&own, &mut most, mpi::collective::SystemOperation::max());
        most
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        usize::try_from(self.world.rank()).unwrap_or(0)
    }

    fn count(&self) -> usize {
        usize::try_from(self.world.size()).unwrap_or(1)
    }

    fn local(&self) -> usize {
        self.local
    }

    fn on_machine(&self) -> usize {
        self.on_machine
    }

    fn exchange(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, RanksError> {
        assert_eq!(parts.len(), self.count(), "a part for each rank");
        let lengths: Vec<u64> = parts.iter().map(|part| part.len() as u64).collect();
        let mut coming = vec![0_u64; parts.len()];
        self.world.all_to_all_into(&lengths[..], &mut coming[..]);
        let chunk = MOST / parts.len();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let calls = self.most(longest).div_ceil(chunk as u64);
        let mut taken: Vec<Vec<u8>> = vec![Vec::new(); parts.len()];
        for call in 0..calls as usize {
            let within = |length: u64| (length as usize).saturating_sub(call * chunk).min(chunk);
            let mut sent =
                Vec::with_capacity(parts.iter().map(|part| within(part.len() as u64)).sum::<usize>() + 1);
            for part in &parts {
                let from = (call * chunk).min(part.len());
                sent.extend_from_slice(&part[from..from + within(part.len() as u64)]);
            }
            // Nothing at all would lie at address 1, which Open MPI takes for "in place".
            sent.push(0);
            let (out, into) = (Spans::of(&lengths, within), Spans::of(&coming, within));
            let mut got = vec![0_u8; into.total + 1];
            let sent = Partition::new(&sent[..], &out.counts[..], &out.places[..]);
            let mut all = PartitionMut::new(&mut got[..], &into.counts[..], &into.places[..]);
            self.world.all_to_all_varcount_into(&sent, &mut all);
            let mut rest = got.as_slice();
            for (taken, count) in taken.iter_mut().zip(&into.counts) {
                let (own, others) = rest.split_at(usize::try_from(*count).unwrap_or(0));
                taken.extend_from_slice(own);
                rest = others;
            }
        }
        Ok(taken)
    }
}

/// Where the parts of a buffer are, one behind the other.
struct Spans {
    counts: Vec<i32>,
    places: Vec<i32>,
    total: usize,
}

impl Spans {
    /// Those of parts of these lengths, of which `within` is the part in this call.
    fn of(lengths: &[u64], within: impl Fn(u64) -> usize) -> Self {
        let (mut spans, mut total) = (Self { counts: Vec::new(), places: Vec::new(), total: 0 }, 0);
        for length in lengths {
            let count = within(*length);
            spans.counts.push(i32::try_from(count).unwrap_or(i32::MAX));
            spans.places.push(i32::try_from(total).unwrap_or(i32::MAX));
            total += count;
        }
        spans.total = total;
        spans
    }
}
