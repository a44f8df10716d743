//! The buses of one process keep what a bus promises; a bad network changes nothing about it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod among_engines_of_one_process {
    use chat_core::bus::MemoryBus;

    chat_core::bus_conformance!({
        let bus = MemoryBus::new();
        (bus.clone(), bus)
    });
}

mod alone {
    use chat_core::bus::LocalBus;

    chat_core::bus_conformance!(alone LocalBus);
}

mod on_a_bad_network {
    use std::time::Duration;

    use chat_core::{
        bus::MemoryBus,
        testing::{Loss, LossyBus},
    };

    chat_core::bus_conformance!({
        let loss = Loss { delay: Duration::from_millis(5), ..Loss::HEAVY };
        let bus = LossyBus::new(MemoryBus::new(), 1, loss);
        (bus.clone(), bus)
    });
}

mod a_bad_network {
    use chat_core::{
        bus::{Bus, Hint, MemoryBus},
        id::{RoomId, Seq},
        testing::{Loss, LossyBus},
    };

    fn hint(number: u64) -> Hint {
        Hint::Grown { room: RoomId::parse("r").unwrap(), head: Seq::new(number), joined: Vec::new() }
    }

    /// What one of the inboxes hears of a hundred hints, and how many were lost.
    async fn heard(seed: u64, loss: Loss) -> (Vec<u64>, u64) {
        let bus = LossyBus::new(MemoryBus::new(), seed, loss);
        let mut inbox = bus.subscribe().await;
        for number in 1..=100 {
            bus.publish(hint(number)).await;
        }
        let lost = bus.clone();
        drop(bus);
        let mut heard = Vec::new();
        while let Ok(Some(Hint::Grown { head, .. })) =
            tokio::time::timeout(std::time::Duration::from_secs(10), inbox.next()).await
        {
            heard.push(head.get());
        }
        (heard, lost.lost())
    }

    #[tokio::test(start_paused = true)]
    async fn loses_doubles_and_reorders() {
        let (heard, lost) = heard(1, Loss::HEAVY).await;
        let mut distinct = heard.clone();
        distinct.sort_unstable();
        assert!(!heard.is_sorted());
        distinct.dedup();
        assert!(distinct.len() < heard.len());
        assert_eq!(distinct.len() as u64 + lost, 100);
        assert!(lost > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn is_as_bad_again_from_the_same_seed() {
        assert_eq!(heard(7, Loss::HEAVY).await, heard(7, Loss::HEAVY).await);
        assert_ne!(heard(7, Loss::HEAVY).await, heard(8, Loss::HEAVY).await);
    }

    #[tokio::test(start_paused = true)]
    async fn does_no_harm_or_all_harm_when_told_so() {
        assert_eq!(heard(1, Loss::NONE).await, ((1..=100).collect(), 0));
        assert_eq!(heard(1, Loss::TOTAL).await, (Vec::new(), 100));
    }
}
