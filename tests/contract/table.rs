use crate::Store;
use crate::areas;
use crate::world::World;
use futures::future::LocalBoxFuture;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A test that has not ended by then hangs.
const DEADLINE: Duration = Duration::from_secs(300);

/// One test of the suite.
#[derive(Clone, Copy)]
pub struct Test {
    /// What it is about; its name stands below it.
    pub area: &'static str,
    /// What holds, as a sentence.
    pub name: &'static str,
    /// Where the contract says so: § of the RFC, `+` for the points its accepted revision added, or the trait whose
    /// documentation says it.
    pub section: &'static str,
    pub(crate) check: fn(&World) -> LocalBoxFuture<'_, ()>,
}

impl std::fmt::Debug for Test {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{} ({})", self.area, self.name, self.section)
    }
}

/// Runs the test of that area and name on the store that `made` makes. [`suite!`](crate::suite) does this for each.
///
/// # Panics
/// If the backend does not keep what the test is named after, or there is no such test.
pub fn run<S: Store>(area: &str, name: &str, made: impl AsyncFnOnce() -> S + Send + 'static) {
    let test = TESTS.iter().find(|test| test.area == area && test.name == name);
    let test = test.unwrap_or_else(|| panic!("there is no test {area}::{name}"));
    let (ended, end) = mpsc::channel::<()>();
    // A thread of its own: an adapter that blocks its thread would block a deadline on it too.
    let running = std::thread::spawn(move || {
        let _ended = ended;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
        runtime.expect("a runtime").block_on(async { (test.check)(&World::new(Box::new(made().await))).await });
    });
    let waited = end.recv_timeout(DEADLINE);
    assert_ne!(waited, Err(RecvTimeoutError::Timeout), "{area}::{name} has not ended after {DEADLINE:?}");
    if let Err(panic) = running.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Makes a test of each of the suite's, on the store that the expression makes. It is evaluated for each test, in an
/// async context of a Tokio runtime. See the crate's documentation.
#[macro_export]
macro_rules! suite {
    ($store:expr $(,)?) => {
        $crate::__each_test! { __as_tests { $store } }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __as_tests {
    ({ $store:expr } $($area:ident { $($name:ident $section:literal)* })*) => {
        $(
            mod $area {
                #[allow(unused_imports)]
                use super::*;
                $(
                    #[doc = $section]
                    #[test]
                    fn $name() {
                        $crate::run(stringify!($area), stringify!($name), async || $store);
                    }
                )*
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __as_table {
    ({} $($area:ident { $($name:ident $section:literal)* })*) => {
        /// Every test, by area.
        pub const TESTS: &[Test] = &[$($(Test {
            area: stringify!($area),
            name: stringify!($name),
            section: $section,
            check: |world| Box::pin(areas::$area::$name(world)),
        }),*),*];
    };
}

crate::__each_test! { __as_table {} }
