use super::cells::toned;
use super::page_text::PageText;
use crate::dashboard::theme::Tone;
use palanquin_engine::contract::token;
use ratatui::text::Line;

/// Tokens by what they are about; a backend's own come last.
const GROUPS: [(&str, &[&str]); 5] = [
    ("vectors", &[token::EMBEDDINGS_IN, token::EMBEDDINGS_PASSTHROUGH, token::EMBEDDINGS_OUT, token::SERVER_EMBEDDER]),
    (
        "queries",
        &[
            token::METADATA_FILTERS,
            token::RANGE_FILTERS,
            token::CONTAINS_FAST,
            token::ESTIMATED_COUNT,
            token::SERVER_SIDE_INDEXES,
        ],
    ),
    ("updates", &[token::UPDATE]),
    ("carrying", &[token::MIGRATION_EXPORT, token::CHANGE_FEED, token::SYNC]),
    ("place", &[token::LOCAL_MODE, token::SERVER_MODE, token::REQUIRES_EXTERNAL_SERVICE, token::NAMESPACE_ISOLATION]),
];

/// What the backend advertises, tokens as they are named.
pub(super) fn write(tokens: &[String], page: &mut PageText) {
    page.heading(&format!("Capabilities {}", tokens.len()));
    if tokens.is_empty() {
        page.line(Line::from(toned("none advertised", Tone::Dim, &page.theme)));
    }
    for (name, group) in GROUPS {
        let advertised = group.iter().filter(|known| tokens.iter().any(|token| token == *known));
        value(name, &advertised.copied().collect::<Vec<_>>(), page);
    }
    let known = |token: &str| GROUPS.iter().any(|(_, group)| group.contains(&token));
    value("others", &tokens.iter().map(String::as_str).filter(|token| !known(token)).collect::<Vec<_>>(), page);
}

fn value(label: &str, tokens: &[&str], page: &mut PageText) {
    if !tokens.is_empty() {
        page.value(label, &tokens.join(", "), Tone::Plain);
    }
}
