use lancedb::datafusion::logical_expr::Expr;
use lancedb::datafusion::prelude::{col, lit};
use palanquin_engine::contract::KeyRange;

/// The range as an expression, bounds as values: an id may hold quotes and anything else. Arrow compares text byte by
/// byte, which is the order of a [`KeyRange`]. `None` for every id.
///
/// In a table whose ids can be null, the range that is open below holds those rows too, so that someone meets them.
pub(super) fn of_range(range: &KeyRange, id_nullable: bool) -> Option<Expr> {
    let after = range.after.as_deref().map(|after| col("id").gt(lit(after)));
    let upto = range.upto.as_deref().map(|upto| col("id").lt_eq(lit(upto)));
    match (after, upto) {
        (None, None) => None,
        (Some(after), None) => Some(after),
        (None, Some(upto)) if id_nullable => Some(upto.or(col("id").is_null())),
        (None, Some(upto)) => Some(upto),
        (Some(after), Some(upto)) => Some(after.and(upto)),
    }
}
