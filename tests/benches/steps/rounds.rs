//! Several ways, measured in turns: what else the machine does hits all of them alike.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::figures::Figures;
use crate::way::{Way, new_caller};

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) clients: usize,
    pub(crate) rounds: usize,
    /// How long each way has in each round.
    pub(crate) turn: Duration,
}

impl Plan {
    /// To see that it runs: one pair of steps for each client.
    pub(crate) fn smoke(clients: usize) -> Self {
        Self { clients, rounds: 1, turn: Duration::ZERO }
    }
}

/// Every client initiates and cancels as often as it can, each time for an identity nobody has heard of.
pub(crate) async fn measure(ways: Vec<(&'static str, Arc<dyn Way>)>, plan: &Plan) -> Vec<Figures> {
    let mut ways: Vec<_> = ways.into_iter().map(|(name, way)| (Figures::new(name), way)).collect();
    // Connections, prepared statements and caches are warm before anything counts.
    for (_, way) in &ways {
        take_turn(way, plan, &mut Figures::new("")).await;
    }
    let count = ways.len();
    for round in 0..plan.rounds {
        // Everybody is first and last equally often, and comes as often after one of the others as after another.
        for turn in 0..count {
            let turn = if round / count % 2 == 0 { turn } else { count - 1 - turn };
            let (figures, way) = &mut ways[(round + turn) % count];
            take_turn(way, plan, figures).await;
        }
    }
    ways.into_iter().map(|(figures, _)| figures).collect()
}

async fn take_turn(way: &Arc<dyn Way>, plan: &Plan, figures: &mut Figures) {
    let (start, turn) = (Instant::now(), plan.turn);
    let clients: Vec<_> = (0..plan.clients)
        .map(|_| {
            let way = way.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let caller = new_caller();
                    let before = Instant::now();
                    way.initiate(&caller).await;
                    let between = Instant::now();
                    way.cancel(&caller).await;
                    times.push((between - before, between.elapsed()));
                    if start.elapsed() >= turn {
                        return times;
                    }
                }
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    figures.add(times, start.elapsed());
}
