use crate::collection::Pinned;
use crate::layout::{Layout, Shape};
use crate::scan::{check_vectors, id_column};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use palanquin_engine::contract::{EmbedderIdentity, ErrorKind, Metadata, Result};
use palanquin_engine::rows::{Row, RowBatch, RowBatchBuilder, canonical_metadata};
use serde_json::Value;

/// Metadata every drawer has. What they hold is what was written, "" and 0 included; in the other columns those stand
/// for a value that is not there.
const ALWAYS: [&str; 6] = ["wing", "room", "source_file", "chunk_index", "added_by", "filed_at"];

/// Key of the model's name in the metadata of the field `vector`.
const MODEL: &str = "mempalace.embed_model";

/// What the schema of a table of mempalace-code says.
///
/// # Errors
/// What is missing, or of another type.
pub(crate) fn layout(schema: &Schema) -> Result<Layout, String> {
    for name in ["id", "text"] {
        if schema.field_with_name(name).map(Field::data_type).ok() != Some(&DataType::Utf8) {
            return Err(format!("column {name} is missing, or not text"));
        }
    }
    let vector = schema.field_with_name("vector").map_err(|_| "column vector is missing".to_owned())?;
    let dimension = match vector.data_type() {
        DataType::FixedSizeList(item, width) if item.data_type() == &DataType::Float32 && *width > 0 => {
            width.unsigned_abs()
        }
        other => return Err(format!("column vector is {other}, not a fixed-size list of f32")),
    };
    let (mut columns, mut unreadable) = (Vec::new(), Vec::new());
    for field in schema.fields().iter().filter(|field| !["id", "text", "vector"].contains(&field.name().as_str())) {
        use DataType::{Boolean, Float32, Float64, Int32, Int64, Utf8};
        match field.data_type() {
            Utf8 | Boolean | Int32 | Int64 | Float32 | Float64 => columns.push(field.name().clone()),
            other => unreadable.push(format!("{} ({other})", field.name())),
        }
    }
    if !unreadable.is_empty() {
        return Err(format!("a row has no place for column {}", unreadable.join(", ")));
    }
    let model = vector.metadata().get(MODEL).filter(|model| !model.is_empty());
    Ok(Layout {
        dimension,
        metric: None,
        identity: model.map(|model| EmbedderIdentity { model_name: model.clone(), dimension }),
        incarnation: None,
        id_nullable: true,
        shape: Shape::Code { metadata: columns.into() },
    })
}

/// Rows of what a table of mempalace-code returned.
pub(crate) fn row_batch(pinned: &Pinned, columns: &[String], batch: &RecordBatch) -> Result<RowBatch> {
    let place = &pinned.place;
    let column = |name: &str| {
        let column = batch.column_by_name(name);
        column.ok_or_else(|| place.error(ErrorKind::Internal, format!("a batch came back without column {name}")))
    };
    let ids = id_column(pinned, batch)?;
    let (Some(texts), Some(vectors)) =
        (column("text")?.as_string_opt::<i32>(), column("vector")?.as_fixed_size_list_opt())
    else {
        return Err(place.error(ErrorKind::Internal, "a batch came back with other types than the table has"));
    };
    check_vectors(pinned, vectors, ids)?;
    let values: Vec<(&str, &ArrayRef)> =
        columns.iter().map(|name| Ok((name.as_str(), column(name)?))).collect::<Result<_>>()?;
    let (width, components) = (vectors.value_length() as usize, vectors.values().as_primitive::<Float32Type>());
    let mut rows = RowBatchBuilder::with_capacity(batch.num_rows(), pinned.layout.dimension);
    for row in 0..batch.num_rows() {
        let metadata: Metadata =
            values.iter().filter_map(|(name, column)| Some(((*name).to_owned(), value(name, column, row)?))).collect();
        let metadata = canonical_metadata(&metadata);
        let pushed = rows.push(Row {
            id: ids.value(row),
            document: texts.is_valid(row).then(|| texts.value(row)),
            metadata: &metadata,
            embedding: vectors.is_valid(row).then(|| &components.values()[row * width..(row + 1) * width]),
        });
        pushed.map_err(|error| place.store("could not take the rows", error))?;
    }
    rows.finish().map_err(|error| place.store("could not take the rows", error))
}

/// `None` for a value that is not there.
fn value(name: &str, column: &ArrayRef, row: usize) -> Option<Value> {
    if column.is_null(row) {
        return None;
    }
    let value = match column.data_type() {
        DataType::Utf8 => Value::from(column.as_string_opt::<i32>()?.value(row)),
        DataType::Boolean => Value::from(column.as_boolean_opt()?.value(row)),
        DataType::Int32 => Value::from(column.as_primitive_opt::<Int32Type>()?.value(row)),
        DataType::Int64 => Value::from(column.as_primitive_opt::<Int64Type>()?.value(row)),
        DataType::Float32 => Value::from(f64::from(column.as_primitive_opt::<Float32Type>()?.value(row))),
        _ => Value::from(column.as_primitive_opt::<Float64Type>()?.value(row)),
    };
    let is_default = value == "" || value.as_f64() == Some(0.0);
    (ALWAYS.contains(&name) || !is_default).then_some(value)
}
