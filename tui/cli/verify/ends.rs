use palanquin_actors::PalaceSource;
use palanquin_engine::contract::{
    Capabilities, CollectionInfo, Conversion, Error, ErrorKind, Fidelity, Filter, OpenMode, Palace, Result,
};
use palanquin_engine::link::{LinkSpec, as_copied};
use palanquin_engine::parity::Compared;
use std::sync::Arc;

/// Both palaces, open, and what is to be compared.
pub(super) struct Ends {
    pub(super) source: End,
    pub(super) target: End,
    pub(super) pairs: Vec<Compared>,
    /// Rows on both ends together, as nearly as is known beforehand.
    pub(super) rows: u64,
    /// Collections of the source that hold rows and are not in the target.
    pub(super) uncopied: Vec<String>,
    /// Collections of the target that hold rows and are not in the source.
    pub(super) only_in_target: Vec<String>,
    /// What else is left out, in sentences.
    pub(super) left_out: Vec<String>,
}

/// One of them.
pub(super) struct End {
    pub(super) address: String,
    pub(super) palace: Arc<dyn Palace>,
    pub(super) capabilities: Capabilities,
    pub(super) fidelity: Fidelity,
    conversions: &'static [Conversion],
}

impl End {
    async fn open(palace: &PalaceSource, mode: OpenMode) -> Result<Self> {
        let descriptor = palace.backend.descriptor();
        let open = palace.backend.open(&palace.palace, mode.into()).await;
        Ok(Self {
            address: palace.address.clone(),
            palace: open.map_err(|error| error.in_palace(&palace.address))?,
            capabilities: descriptor.capabilities.clone(),
            fidelity: descriptor.fidelity,
            conversions: descriptor.conversions,
        })
    }
}

/// How two ends are opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// Whether the target is to be written to.
    pub(super) repaired: bool,
    /// Whether the target's conversions excuse nothing.
    pub(super) strict: bool,
}

impl Ends {
    pub(super) async fn open(
        spec: &LinkSpec,
        source: &PalaceSource,
        target: &PalaceSource,
        Opened { repaired, strict }: Opened,
    ) -> Result<Self> {
        let source = End::open(source, OpenMode::Read).await?;
        let mut target = End::open(target, if repaired { OpenMode::Write } else { OpenMode::Read }).await?;
        if strict {
            target.conversions = &[];
        }
        let (here, there) = (source.palace.collections().await?, target.palace.collections().await?);
        for name in spec.collections.iter().chain(spec.renames.keys()) {
            if !here.iter().any(|info| &info.name == name) {
                let names: Vec<_> = here.iter().map(|info| info.name.as_str()).collect();
                let detail = format!("there is no collection {name}; there are: {}", names.join(", "));
                return Err(Error::new(ErrorKind::CollectionNotInitialized, detail).in_palace(&source.address));
            }
        }
        let filter = match &spec.filter {
            Some(clause) => Filter::parse(clause)?,
            None => Filter::All,
        };
        let is_wanted = |info: &CollectionInfo| spec.collections.is_empty() || spec.collections.contains(&info.name);
        let mut ends = Self {
            source,
            target,
            pairs: Vec::new(),
            rows: 0,
            uncopied: Vec::new(),
            only_in_target: Vec::new(),
            left_out: Vec::new(),
        };
        for info in here.iter().filter(|info| is_wanted(info)) {
            let target_name = spec.target_name(&info.name);
            match there.iter().find(|counterpart| counterpart.name == target_name) {
                Some(counterpart) => {
                    ends.rows += info.rows + counterpart.rows;
                    ends.pairs.push(ends.pair(&info.name, target_name, &filter).await?);
                }
                None if info.rows > 0 => ends.uncopied.push(info.name.clone()),
                None => ends.left_out.push(format!("collection {}: it is empty, and the target has none", info.name)),
            }
        }
        if spec.collections.is_empty() {
            let known: Vec<&str> = here.iter().map(|info| spec.target_name(&info.name)).collect();
            let only_there = there.iter().filter(|info| info.rows > 0 && !known.contains(&info.name.as_str()));
            ends.only_in_target = only_there.map(|info| info.name.clone()).collect();
        } else {
            ends.left_out.push("collections other than those asked for".to_owned());
        }
        for conversion in ends.target.conversions {
            let sentence = conversion.sentence();
            ends.left_out
                .push(format!("what the target's store changes by necessity: {sentence}; --strict compares that too"));
        }
        if spec.filter.is_some() {
            ends.left_out.push("rows that do not pass the filter".to_owned());
        }
        Ok(ends)
    }

    /// A collection on both ends; its source as the target is to hold it.
    async fn pair(&self, name: &str, target_name: &str, filter: &Filter) -> Result<Compared> {
        Ok(Compared {
            name: name.to_owned(),
            target_name: target_name.to_owned(),
            source: as_copied(self.source.palace.collection(name).await?, filter, self.target.conversions),
            target: self.target.palace.collection(target_name).await?,
        })
    }
}
