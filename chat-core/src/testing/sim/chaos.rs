//! What goes wrong meanwhile: nodes die, the store loses its power, storms and partitions come and go.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::world::World;
use crate::testing::{Loss, random::Random};

pub(super) struct Chaos {
    world: Arc<World>,
    random: Random,
}

impl Chaos {
    pub(super) fn new(world: Arc<World>) -> Self {
        let random = Random::seeded(world.seed());
        Self { world, random }
    }

    /// Makes trouble until the devices have done their steps, then puts everything in order.
    pub(super) async fn run(mut self) {
        while self.world.busy.load(Ordering::Relaxed) > 0 {
            self.pause(100, 600).await;
            match self.random.below(100) {
                0..22 if self.world.options.crashes => self.crash_node().await,
                22..30 if self.world.options.crashes => self.crash_store().await,
                30..55 if self.world.options.storms => self.storm().await,
                55..70 => self.partition().await,
                _ => {}
            }
        }
        self.world.note("quiet");
    }

    async fn pause(&mut self, least: u64, most: u64) {
        tokio::time::sleep(Duration::from_millis(least + self.random.below(most - least))).await;
    }

    async fn crash_node(&mut self) {
        let node = self.random.below(self.world.options.nodes as u64) as usize;
        let severed = self.random.below(2) == 0;
        self.world.figures.node_crashes.fetch_add(1, Ordering::Relaxed);
        self.world.crash(node, severed);
        self.pause(1, 1_000).await;
        self.start(node).await;
    }

    async fn crash_store(&mut self) {
        self.world.figures.store_crashes.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.world.crash_store() {
            self.world.oddities.lock().push(super::Check::StoreVerifies.violated(error.to_string()));
        }
        for node in 0..self.world.options.nodes {
            self.pause(1, 300).await;
            self.start(node).await;
        }
    }

    async fn start(&mut self, node: usize) {
        if let Err(error) = self.world.start(node).await {
            self.world.note(&format!("node {node} does not start: {error}"));
        }
    }

    async fn storm(&mut self) {
        self.world.note("a storm begins");
        self.world.weather.storm(true);
        self.pause(100, 1_500).await;
        self.world.weather.storm(false);
        self.world.note("the storm ends");
    }

    async fn partition(&mut self) {
        self.world.note("the bus carries nothing");
        self.world.bus.set(Loss::TOTAL);
        self.pause(500, 4_000).await;
        self.world.bus.set(self.world.options.loss);
        self.world.note("the bus is back");
    }
}
