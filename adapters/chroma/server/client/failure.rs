use palanquin_engine::contract::{Error, ErrorKind};
use reqwest::StatusCode;
use serde::Deserialize;

/// What a server says of a request it refuses.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
}

/// What a refusal means. Of the server's own words only those are passed on that cannot quote a row.
pub(super) fn refused(status: StatusCode, body: &[u8], doing: &str) -> Error {
    let said: Said = serde_json::from_slice(body).unwrap_or_default();
    let about_width = said.message.contains("dimension");
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::PermissionDenied,
        StatusCode::NOT_FOUND => ErrorKind::CollectionNotInitialized,
        StatusCode::CONFLICT => ErrorKind::PalaceExists,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Busy,
        StatusCode::INSUFFICIENT_STORAGE => ErrorKind::StorageFull,
        StatusCode::NOT_IMPLEMENTED | StatusCode::METHOD_NOT_ALLOWED => ErrorKind::UnsupportedCapability,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::RowRefused,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY if about_width => ErrorKind::DimensionMismatch,
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => ErrorKind::InvalidRequest,
        status if status.is_redirection() => ErrorKind::InvalidRequest,
        status if status.is_server_error() && is_full(&said.message) => ErrorKind::StorageFull,
        status if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    };
    let class: String = said.error.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let class = if class.is_empty() { String::new() } else { format!(", {class}") };
    let hint = match kind {
        ErrorKind::PermissionDenied => ": the credentials of the environment are wrong, or there are none",
        ErrorKind::StorageFull => ": its disk is full",
        ErrorKind::CollectionNotInitialized => ": it was dropped, or was never there",
        ErrorKind::DimensionMismatch => ": the vectors are of another width than the collection's",
        ErrorKind::Unavailable if cannot_write(&said.message) => {
            ": it cannot write its index or its tables, as when its disk is full; its log may say more"
        }
        ErrorKind::InvalidRequest if status.is_redirection() => {
            ": it points elsewhere, where credentials must not follow"
        }
        _ => "",
    };
    Error::new(kind, format!("{doing}: the server answers {}{class}{hint}", status.as_u16()))
}

/// SQLite's word for it, which a server hands on.
fn is_full(message: &str) -> bool {
    message.contains("database or disk is full") || message.contains("No space left on device")
}

/// What chromadb 1.5.9 says where the disk is full, or where anything else keeps it from applying what it has logged: it does
/// not hand on why.
fn cannot_write(message: &str) -> bool {
    message.contains("compaction") || message.contains("compactor")
}

/// What it means that no answer came.
pub(super) fn unanswered(error: reqwest::Error, url: &str, doing: &str) -> Error {
    let error = error.without_url();
    let detail = if error.is_timeout() {
        format!("{doing}: {url} did not answer in time")
    } else if error.is_connect() {
        format!("{doing}: {url} cannot be reached")
    } else {
        format!("{doing}: the answer of {url} broke off")
    };
    let untrusted = chain_says(&error, "certificate");
    let kind = if untrusted { ErrorKind::PermissionDenied } else { ErrorKind::Unavailable };
    Error::new(kind, detail).with_source(error)
}

fn chain_says(error: &dyn std::error::Error, word: &str) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains(word) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_kind_and_quotes_no_row() {
        let body = br#"{"error":"ChromaError","message":"metadatas[0].secret: data did not match"}"#;
        let error = refused(StatusCode::UNPROCESSABLE_ENTITY, body, "writing rows");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(error.what().contains("422, ChromaError") && !format!("{error:?}").contains("secret"), "{error}");
        let body =
            br#"{"error":"InvalidArgumentError","message":"Collection expecting embedding with dimension of 4"}"#;
        assert_eq!(refused(StatusCode::BAD_REQUEST, body, "w").kind(), ErrorKind::DimensionMismatch);
        let body = br#"{"error":"InternalError","message":"(code: 13) database or disk is full"}"#;
        assert_eq!(refused(StatusCode::INTERNAL_SERVER_ERROR, body, "w").kind(), ErrorKind::StorageFull);
        let body = br#"{"error":"InternalError","message":"Error in compaction: Error purging logs"}"#;
        let unsaid = refused(StatusCode::INTERNAL_SERVER_ERROR, body, "w");
        assert!(unsaid.kind() == ErrorKind::Unavailable && unsaid.what().contains("disk is full"), "{unsaid}");
        for (status, kind) in [
            (StatusCode::FORBIDDEN, ErrorKind::PermissionDenied),
            (StatusCode::NOT_FOUND, ErrorKind::CollectionNotInitialized),
            (StatusCode::BAD_GATEWAY, ErrorKind::Unavailable),
            (StatusCode::FOUND, ErrorKind::InvalidRequest),
        ] {
            assert_eq!(refused(status, b"not JSON", "w").kind(), kind, "{status}");
        }
    }
}
