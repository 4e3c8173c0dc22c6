/// Milliseconds since the epoch, for what operators read; policies use `tokio::time::Instant`.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
