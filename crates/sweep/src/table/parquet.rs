//! Tables as Parquet files.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::types::Type;

use super::{Cell, Heading, Provenance, Storage, Table, TableError};

/// Under which key a file says where it is from.
const KEY: &str = "motley";

/// Rows that are held in memory until their columns are written.
const GROUP: usize = 16_384;

/// Writes rows in groups of columns.
pub(super) struct Rows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    headings: Vec<Heading>,
    /// By column, the rows of the group at hand.
    cells: Vec<Vec<Cell>>,
}

impl<W: Write + Send> Rows<W> {
    pub(super) fn new(
        file: W,
        headings: &[Heading],
        provenance: &Provenance,
    ) -> Result<Self, ParquetError> {
        let fields = headings.iter().map(field).collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("results").with_fields(fields).build()?;
        let said = serde_json::to_string(provenance).unwrap_or_default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("motley {}", provenance.tool_version))
            .set_key_value_metadata(Some(vec![KeyValue::new(KEY.to_owned(), said)]))
            .build();
        let file = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?;
        let cells = vec![Vec::new(); headings.len()];
        Ok(Self { file, headings: headings.to_vec(), cells })
    }

    pub(super) fn row(&mut self, row: &[Cell]) -> Result<(), ParquetError> {
        for (column, cell) in self.cells.iter_mut().zip(row) {
            column.push(cell.clone());
        }
        if self.cells.first().is_some_and(|column| column.len() == GROUP) {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.cells.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (heading, cells) in self.headings.iter().zip(&mut self.cells) {
            let there: Vec<i16> =
                cells.iter().map(|cell| i16::from(stored(cell, heading.storage))).collect();
            let stored = cells.iter().filter(|cell| stored(cell, heading.storage));
            let Some(mut column) = group.next_column()? else { break };
            match heading.storage {
                Storage::Whole => {
                    let values: Vec<i64> =
                        stored.filter_map(Cell::number).map(|n| n as i64).collect();
                    column.typed::<Int64Type>().write_batch(&values, Some(&there), None)?;
                }
                Storage::Real => {
                    let values: Vec<f64> = stored.filter_map(Cell::number).collect();
                    column.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
                }
                Storage::Text => {
                    let values: Vec<ByteArray> =
                        stored.filter_map(Cell::text).map(ByteArray::from).collect();
                    column.typed::<ByteArrayType>().write_batch(&values, Some(&there), None)?;
                }
            }
            column.close()?;
            cells.clear();
        }
        group.close()?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, ParquetError> {
        self.flush()?;
        self.file.into_inner()
    }
}

/// Whether a cell is of the kind that its column stores.
fn stored(cell: &Cell, storage: Storage) -> bool {
    match storage {
        Storage::Whole | Storage::Real => cell.number().is_some(),
        Storage::Text => cell.text().is_some(),
    }
}

fn field(heading: &Heading) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match heading.storage {
        Storage::Whole => (Physical::INT64, None),
        Storage::Real => (Physical::DOUBLE, None),
        Storage::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let built = Type::primitive_type_builder(&heading.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(built))
}

/// Reads a table.
pub(super) fn read(path: &Path) -> Result<Table, TableError> {
    let bad = |error: ParquetError| TableError::content(path, &error);
    let file = File::open(path).map_err(|error| TableError::io(path, error))?;
    let reader = SerializedFileReader::new(file).map_err(bad)?;
    let metadata = reader.metadata().file_metadata();
    let names: Vec<String> =
        metadata.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let provenance = metadata
        .key_value_metadata()
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == KEY))
        .and_then(|pair| serde_json::from_str(pair.value.as_deref()?).ok());
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None).map_err(bad)? {
        let row = row.map_err(bad)?;
        rows.push(
            row.get_column_iter()
                .map(|(name, field)| {
                    cell(field).ok_or_else(|| {
                        TableError::content(path, &format!("`{name}` is neither number nor text"))
                    })
                })
                .collect::<Result<_, _>>()?,
        );
    }
    Ok(Table::of_rows(names, rows, provenance))
}

fn cell(field: &Field) -> Option<Cell> {
    Some(match field {
        Field::Null => Cell::None,
        Field::Bool(truth) => Cell::Number(f64::from(*truth)),
        Field::Byte(number) => Cell::Number((*number).into()),
        Field::Short(number) => Cell::Number((*number).into()),
        Field::Int(number) => Cell::Number((*number).into()),
        Field::Long(number) => Cell::Number(*number as f64),
        Field::UInt(number) => Cell::Number((*number).into()),
        Field::ULong(number) => Cell::Number(*number as f64),
        Field::Float(number) => Cell::from(f64::from(*number)),
        Field::Double(number) => Cell::from(*number),
        Field::Str(text) => Cell::Text(text.clone()),
        _ => return None,
    })
}
