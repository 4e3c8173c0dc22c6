use serde::{Deserialize, Serialize};

/// Whether a palace can do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub condition: Condition,
    /// Why, when the verdict is not [`Condition::Healthy`].
    pub reason: Option<String>,
    /// What the operator should look at, worst first.
    pub findings: Vec<Finding>,
}

impl Health {
    /// No complaint.
    pub fn healthy() -> Self {
        Self { condition: Condition::Healthy, reason: None, findings: Vec::new() }
    }

    /// Degraded if any finding is a warning or worse, healthy otherwise.
    pub fn from_findings(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        let worst = findings.first().filter(|finding| finding.severity >= Severity::Warning);
        match worst {
            Some(finding) => Self { condition: Condition::Degraded, reason: Some(finding.summary.clone()), findings },
            None => Self { condition: Condition::Healthy, reason: None, findings },
        }
    }
}

/// The verdict of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Works.
    Healthy,
    /// Works, and something in it needs the operator.
    Degraded,
    /// Does not answer.
    Unavailable,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Will hurt if left.
    Warning,
    /// Rows or vectors are affected.
    Error,
}

/// Something the operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Stable name, for filters and scripts.
    pub name: String,
    /// One sentence with the figures.
    pub summary: String,
    /// Ids of affected rows, as many as are worth listing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
}
