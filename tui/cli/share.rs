//! What part of a palace a link carries, and under which names.

use clap::Args;
use palanquin_engine::contract::{Error, ErrorKind, Filter, Result};
use palanquin_engine::link::LinkSpec;
use serde_json::Value;

/// Arguments of every command that copies.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Share {
    /// Only this collection (repeatable)
    #[arg(long = "collection", value_name = "NAME")]
    pub(super) collections: Vec<String>,
    /// Only rows that pass this filter, as in {"room": {"$in": ["a", "b"]}}
    #[arg(long = "where", value_name = "JSON")]
    filter: Option<String>,
    /// Make collection A under the name B in the target (repeatable)
    #[arg(long = "rename-collection", value_name = "A=B", value_parser = renamed)]
    renames: Vec<(String, String)>,
}

impl Share {
    /// The request, of this share.
    ///
    /// # Errors
    /// `InvalidRequest` or `UnsupportedFilter` for a filter that is none, `InvalidRequest` for a collection with two names.
    pub(super) fn apply(&self, spec: LinkSpec) -> Result<LinkSpec> {
        let mut spec = LinkSpec { collections: self.collections.clone(), filter: self.filter()?, ..spec };
        for (from, to) in &self.renames {
            if let Some(other) = spec.renames.insert(from.clone(), to.clone()) {
                let detail = format!("{from} is to be renamed twice, to {other} and to {to}");
                return Err(Error::new(ErrorKind::InvalidRequest, detail));
            }
        }
        spec.renames.retain(|from, to| from != to);
        Ok(spec)
    }

    /// The filter; none where every row passes.
    fn filter(&self) -> Result<Option<Value>> {
        let Some(text) = &self.filter else { return Ok(None) };
        let clause = serde_json::from_str(text)
            .map_err(|error| Error::new(ErrorKind::InvalidRequest, format!("--where is no JSON: {error}")))?;
        Ok((!Filter::parse(&clause)?.is_all()).then_some(clause))
    }
}

fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok((from.to_owned(), to.to_owned())),
        _ => Err("it is given as A=B".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palanquin_engine::link::LinkKind;

    fn applied(share: Share) -> Result<LinkSpec> {
        share.apply(LinkSpec::new(LinkKind::Migrate, "s", "t"))
    }

    #[test]
    fn a_filter_that_everything_passes_is_none_and_one_that_is_no_filter_is_refused() {
        let filtered = |text: &str| applied(Share { filter: Some(text.to_owned()), ..Share::default() });
        assert!(filtered("{}").unwrap().is_of_the_whole_palace());
        assert!(!filtered(r#"{"room": "a"}"#).unwrap().is_of_the_whole_palace());
        assert_eq!(filtered("{room}").unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(filtered(r#"{"room": {"$like": "a"}}"#).unwrap_err().kind(), ErrorKind::UnsupportedFilter);
    }

    #[test]
    fn a_collection_gets_one_name() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let spec = applied(Share { renames: vec![pair("a", "b"), pair("c", "c")], ..Share::default() }).unwrap();
        assert_eq!((spec.target_name("a"), spec.target_name("c"), spec.renames.len()), ("b", "c", 1));
        let twice = applied(Share { renames: vec![pair("a", "b"), pair("a", "c")], ..Share::default() });
        assert_eq!(twice.unwrap_err().kind(), ErrorKind::InvalidRequest);
        assert_eq!(renamed("a=b=c").unwrap(), pair("a", "b=c"));
        assert!(renamed("a").is_err() && renamed("=b").is_err());
    }
}
