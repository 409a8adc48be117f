//! What holds for every event log, and how each of them survives its own accidents.
//!
//! The JetStream log runs against a real nats-server, which each test starts for itself: `NATS_SERVER` names the
//! binary, else it is looked for in `PATH`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod blocks;
mod control;
mod embedded;
mod jetstream;
mod measure;
mod nats;
mod shipping;
mod suite;

/// One test for each case of the suite and each log.
macro_rules! contract {
    ($($fixture:ident: [$($case:ident),+ $(,)?]),+ $(,)?) => {$(
        mod $fixture {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let fixture = crate::suite::Fixture::$fixture(crate::suite::PLENTY).await;
                    crate::suite::$case(&fixture).await;
                }
            )+
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_full_log_says_so_and_goes_on_when_it_was_trimmed() {
                let fixture = crate::suite::Fixture::$fixture(crate::suite::LITTLE).await;
                crate::suite::full_and_trimmed(&fixture).await;
            }
        }
    )+};
}

mod every {
    macro_rules! cases {
        ($($fixture:ident),+) => {
            contract! {$(
                $fixture: [
                    blocks_are_read_in_order_and_whole,
                    the_same_block_twice_is_read_once_or_twice,
                    two_appenders_keep_their_orders,
                    a_reader_goes_on_where_another_ended,
                    a_reader_follows_the_live_end,
                    what_was_trimmed_is_not_read_silently,
                    a_place_behind_the_end_is_an_error,
                    a_shard_that_does_not_exist_is_an_error,
                ]
            ),+}
        };
    }
    cases!(embedded, embedded_from_outside, jetstream);
}
