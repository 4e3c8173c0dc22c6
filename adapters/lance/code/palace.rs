use super::collection::CodeCollection;
use crate::collection::TableHandle;
use crate::error::Place;
use crate::layout;
use crate::palace::connect;
use async_trait::async_trait;
use lancedb::connection::Connection;
use palanquin_engine::contract::{
    Collection, CollectionInfo, CollectionSpec, Condition, ErrorKind, Finding, Health, MaintenanceState, OpenMode,
    Palace, Result, Severity,
};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// An open palace of mempalace-code.
pub(crate) struct CodePalace {
    palace: PathBuf,
    tables: PathBuf,
    place: Place,
    connection: Connection,
}

impl CodePalace {
    /// # Errors
    /// `UnsupportedCapability` unless it is opened to be read.
    pub(crate) async fn connect(palace: PathBuf, tables: PathBuf, mode: OpenMode, place: Place) -> Result<Self> {
        if mode.is_writable() {
            return Err(only_read(&place));
        }
        let tables =
            std::path::absolute(&tables).map_err(|error| place.io("could not make the path absolute", error))?;
        let Some(address) = tables.to_str() else {
            return Err(place.error(ErrorKind::InvalidRequest, "the path is not Unicode, which LanceDB needs"));
        };
        let connection = connect(address, &place).await?;
        Ok(Self { palace, tables, place, connection })
    }

    async fn names(&self) -> Result<Vec<String>> {
        let names = self.connection.table_names().execute().await;
        let mut names = names.map_err(|error| self.place.store("could not list the tables", error))?;
        names.retain(|name| self.is_there(name));
        Ok(names)
    }

    fn is_there(&self, name: &str) -> bool {
        layout::name_problem(name).is_none() && self.tables.join(format!("{name}.lance/_versions")).is_dir()
    }

    async fn open(&self, name: &str) -> Result<CodeCollection> {
        let place = self.place.collection(name);
        if !self.is_there(name) {
            return Err(place.error(ErrorKind::CollectionNotInitialized, "the palace has no such collection"));
        }
        let table = self.connection.open_table(name).execute().await;
        let table = table.map_err(|error| place.unreadable("could not open the table", error))?;
        CodeCollection::open(name, TableHandle::of_code(table, place, self.palace.clone())).await
    }

    async fn findings_of(&self, name: &str) -> Vec<Finding> {
        let finding = |severity, of: &str, summary| Finding { severity, name: of.into(), summary, rows: Vec::new() };
        let collection = match self.open(name).await {
            Ok(collection) => collection,
            Err(error) => return vec![finding(Severity::Error, "unreadable_table", error.what())],
        };
        let summary = format!(
            "{name} was written by mempalace-code and is only read; where it holds \"\", 0 or 0.0 in a column not every \
             drawer has, the key is read as absent, and metadata beyond its columns was dropped when it was written"
        );
        let mut findings = vec![finding(Severity::Info, "mempalace_code", summary)];
        if collection.feed_head().await.is_ok_and(|head| head.is_none()) {
            let summary = format!("{name} has no stable row ids, so its changes cannot be followed");
            findings.push(finding(Severity::Info, "no_change_feed", summary));
        }
        findings
    }
}

pub(super) fn only_read(place: &Place) -> palanquin_engine::contract::Error {
    place.error(ErrorKind::UnsupportedCapability, "a palace of mempalace-code is only read; copy it to another first")
}

#[async_trait]
impl Palace for CodePalace {
    async fn collections(&self) -> Result<Vec<CollectionInfo>> {
        let mut infos = Vec::new();
        for name in self.names().await? {
            let info = match self.open(&name).await {
                Ok(collection) => collection.info().await,
                Err(error) => Err(error),
            };
            infos.push(info.unwrap_or_else(|error| {
                tracing::warn!(%error, "a collection cannot be used");
                let (dimension, metric, identity, incarnation) = (None, None, None, None);
                CollectionInfo { name, rows: 0, dimension, metric, identity, incarnation, settings: Default::default() }
            }));
        }
        Ok(infos)
    }

    async fn collection(&self, name: &str) -> Result<Arc<dyn Collection>> {
        Ok(Arc::new(self.open(name).await?))
    }

    async fn create_collection(&self, spec: &CollectionSpec) -> Result<Arc<dyn Collection>> {
        Err(only_read(&self.place.collection(&spec.name)))
    }

    async fn health(&self) -> Health {
        let names = match self.names().await {
            Ok(names) => names,
            Err(error) => {
                return Health { condition: Condition::Unavailable, reason: Some(error.what()), findings: Vec::new() };
            }
        };
        let mut findings = Vec::new();
        for name in names {
            findings.extend(self.findings_of(&name).await);
        }
        Health::from_findings(findings)
    }

    async fn maintenance_state(&self) -> Result<MaintenanceState> {
        let mut state = MaintenanceState::new();
        for name in self.names().await? {
            let figures = match self.open(&name).await {
                Ok(collection) => collection.figures().await,
                Err(error) => Err(error),
            };
            state.insert(name, figures.unwrap_or_else(|error| json!({"error": error.what()})));
        }
        Ok(state)
    }
}
