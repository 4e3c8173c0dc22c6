use super::How;
use crate::cli::overwrite::Exchange;
use crate::cli::plan::Question;
use crate::cli::restart;
use crate::cli::workshop::{Opened, ends};
use crate::exit_code::Exit;
use crate::output::{self, Face};
use palanquin_actors::{LinkEnd, LinkOptions, StartLink};
use palanquin_config::Found;
use palanquin_engine::contract::{Error, Result};
use palanquin_engine::link::{LinkKind, LinkSpec};

/// A palace to copy, and the one to make of it.
pub(super) struct Migration {
    pub(super) source: Found,
    /// The source's backend, if it was named.
    pub(super) from: Option<String>,
    pub(super) target: Found,
    pub(super) how: How,
}

/// What became of a migration.
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// Rows durable in the target.
    pub(super) rows: u64,
}

impl Migration {
    pub(super) fn run(self, face: Face) -> Result<Ended> {
        let How { share, salvage, allowances, no_maintenance, restart, dry_run, receipt, workshop } = self.how;
        if dry_run {
            let json = face == Face::Json;
            let question = Question { share, salvage, allowances, state: workshop.state().clone(), json };
            let exit = question.about(&self.source, self.from.as_deref(), &self.target)?;
            return Ok(Ended { exit, rows: 0 });
        }
        let (source, wanted) = ends(&self.source, self.from.as_deref(), &self.target)?;
        let source = salvage.of(source)?;
        let request = |target: &str| {
            let spec = share.apply(LinkSpec::new(LinkKind::Migrate, source.address.as_str(), target))?;
            Ok::<_, Error>(allowances.in_spec(spec))
        };
        let exchange = match allowances.overwrite {
            true => Some(Exchange::of(&self.target, &wanted, &request(&wanted.address)?)?),
            false => None,
        };
        let target = exchange.as_ref().map_or(&wanted, Exchange::staged).clone();
        let spec = request(&target.address)?;
        let Opened { journal, lock, mut session, state } = workshop.open(&spec, &[&wanted.address])?;
        if restart {
            session.wait(restart::forget(&journal, &spec, &source, &target))?;
        }
        let mut replaces = None;
        if let Some(exchange) = &exchange {
            session.wait(exchange.take_up(&journal, &spec))?;
            replaces = session.wait(exchange.replaced())?;
        }
        let options = LinkOptions { maintain: !no_maintenance, ..workshop.options() };
        let from = source.clone();
        session.start_link(StartLink { spec: spec.clone(), source, target, options, replaces, lock: Some(lock) })?;
        let leave = |end: &LinkEnd, exit| receipt.leave(&state, &spec, (&from, &wanted), (end, exit));
        // A copy beside its target is none of it before they have changed places.
        let is_beside = exchange.is_some();
        let (exit, end) =
            session.show_until_ended(face, &spec, |end, exit| if is_beside { None } else { leave(end, exit) });
        let rows = end.as_ref().map_or(0, |end| end.rows);
        let exit = match exchange {
            Some(_) if exit == Exit::Verified && rows == 0 => {
                // An empty copy proves nothing that would justify removing what is there.
                output::note(face, &format!("nothing was copied, so {} stays as it was", wanted.address));
                Exit::Refused
            }
            Some(exchange) if exit == Exit::Verified => {
                session.wait(exchange.replace(&journal, &spec))?;
                output::note(face, &format!("the verified copy is now {}", wanted.address));
                exit
            }
            Some(_) if matches!(exit, Exit::Different | Exit::NotVerified) => {
                let (old, new) = (&wanted.address, &spec.target);
                output::note(
                    face,
                    &format!(
                        "{old} is as it was; the copy stays at {new}: look at it with `palanquin verify`, or run the same \
                         command again, which makes another"
                    ),
                );
                exit
            }
            _ => exit,
        };
        if is_beside && let Some(left) = end.as_ref().and_then(|end| leave(end, exit)) {
            output::note(face, &left);
        }
        session.close();
        Ok(Ended { exit, rows })
    }
}
