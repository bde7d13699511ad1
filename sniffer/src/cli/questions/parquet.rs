//! Calls as an Apache Parquet file, a column a column: times are timestamps, durations seconds, costs decimals.

use std::{io::Write, sync::Arc};

use analyzer::columns::{CALL_COLUMNS, ID, Kind, StoredRow};
use anyhow::Context as _;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::export::Rows;

/// Rows of a group: some tens of megabytes in memory, and large enough that a column of it compresses well.
const GROUP_ROWS: usize = 20_000;

/// Digits of a cost, and how many of them stand behind the point.
const COST_DIGITS: (i32, i32) = (18, 9);

/// Writes all rows; how many.
pub(super) fn write(mut rows: Rows<'_>, out: impl Write + Send) -> anyhow::Result<u64> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut file = SerializedFileWriter::new(out, schema()?, Arc::new(properties))?;
    let mut written = 0;
    let mut group: Vec<StoredRow> = Vec::with_capacity(GROUP_ROWS);
    loop {
        let more = rows.more()?;
        let is_last = more.is_none();
        group.extend(more.into_iter().flatten());
        if group.len() >= GROUP_ROWS || (is_last && !group.is_empty()) {
            let mut writer = file.next_row_group()?;
            write_group(&mut writer, &group)?;
            writer.close()?;
            written += group.len() as u64;
            group.clear();
        }
        if is_last {
            file.close().context("the file cannot be ended")?;
            return Ok(written);
        }
    }
}

fn schema() -> anyhow::Result<TypePtr> {
    let id = Type::primitive_type_builder(ID, Physical::INT64)
        .with_repetition(Repetition::REQUIRED)
        .build()?;
    let mut fields = vec![Arc::new(id)];
    for column in CALL_COLUMNS {
        let text = (Physical::BYTE_ARRAY, Some(LogicalType::String));
        let (physical, logical) = match column.kind {
            Kind::Bool => (Physical::BOOLEAN, None),
            Kind::Integer => (Physical::INT64, None),
            Kind::Real | Kind::Duration | Kind::FineDuration => (Physical::DOUBLE, None),
            Kind::Money => {
                let (precision, scale) = COST_DIGITS;
                (
                    Physical::INT64,
                    Some(LogicalType::decimal(scale, precision)),
                )
            }
            Kind::Time => (
                Physical::INT64,
                Some(LogicalType::timestamp(true, TimeUnit::MICROS)),
            ),
            Kind::List | Kind::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Text | Kind::Key | Kind::OtherKey => text,
        };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        let field = match column.kind {
            Kind::Money => field
                .with_precision(COST_DIGITS.0)
                .with_scale(COST_DIGITS.1),
            _ => field,
        };
        fields.push(Arc::new(field.build()?));
    }
    let schema = Type::group_type_builder("call")
        .with_fields(fields)
        .build()?;
    Ok(Arc::new(schema))
}

fn write_group<W: Write + Send>(
    writer: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[StoredRow],
) -> anyhow::Result<()> {
    let ids: Vec<_> = rows.iter().map(|row| Some(row.id)).collect();
    column::<Int64Type, W>(writer, &ids, Levels::None)?;
    for (place, definition) in CALL_COLUMNS.iter().enumerate() {
        let rows = rows.iter();
        match definition.kind {
            Kind::Bool => {
                let values: Vec<_> = rows.map(|row| row.integer(place).map(|n| n != 0)).collect();
                column::<BoolType, W>(writer, &values, Levels::Optional)?;
            }
            Kind::Integer | Kind::Time | Kind::Money => {
                let values: Vec<_> = rows.map(|row| row.integer(place)).collect();
                column::<Int64Type, W>(writer, &values, Levels::Optional)?;
            }
            Kind::Real => {
                let values: Vec<_> = rows.map(|row| row.real(place)).collect();
                column::<DoubleType, W>(writer, &values, Levels::Optional)?;
            }
            Kind::Duration | Kind::FineDuration => {
                let seconds = |micros: f64| micros / 1e6;
                let values: Vec<_> = rows.map(|row| row.real(place).map(seconds)).collect();
                column::<DoubleType, W>(writer, &values, Levels::Optional)?;
            }
            Kind::Text | Kind::List | Kind::Json | Kind::Key | Kind::OtherKey => {
                let bytes = |row: &StoredRow| row.text(place).map(|text| ByteArray::from(&*text));
                let values: Vec<_> = rows.map(bytes).collect();
                column::<ByteArrayType, W>(writer, &values, Levels::Optional)?;
            }
        }
    }
    Ok(())
}

/// Whether a column has NULLs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Levels {
    None,
    Optional,
}

fn column<T: DataType, W: Write + Send>(
    writer: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Option<T::T>],
    levels: Levels,
) -> anyhow::Result<()> {
    let there: Vec<T::T> = values.iter().flatten().cloned().collect();
    // 1 where there is a value, 0 for NULL.
    let definition: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
    let definition = (levels == Levels::Optional).then_some(definition.as_slice());
    let mut column = writer
        .next_column()?
        .context("the schema has fewer columns than a call")?;
    column.typed::<T>().write_batch(&there, definition, None)?;
    column.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use analyzer::{
        analysis::{self, analyze_report},
        query::{Filter, select::Selection},
        report::Report,
        store::{Session, SqliteSettings, SqliteStore, Store as _, system_clock},
        tokens::Counter,
    };
    use parquet::{
        file::reader::{FileReader as _, SerializedFileReader},
        record::Field,
    };

    use super::*;

    /// Stores two calls that took 1.5 s and 2.5 s, of which the second named no model.
    fn store(path: &Path) {
        let settings = analysis::Settings::default();
        let counter = Counter::always();
        let reports = [(1.5, Some("qwen3")), (2.5, None)].map(|(elapsed_time, model)| Report {
            elapsed_time,
            model: model.map(str::to_owned),
            ..Report::default()
        });
        let records: Vec<_> = (0..)
            .zip(reports)
            .map(|(number, report)| {
                analyze_report(report, system_clock(), &settings, &counter, number)
            })
            .collect();
        let mut store = SqliteStore::open(path, SqliteSettings::default()).unwrap();
        store.write(&records).unwrap();
    }

    #[test]
    fn what_is_written_is_read_by_another_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llmtap.db");
        store(&path);
        let mut session = Session::open(&path).unwrap();
        let ascending = [
            ("sort".to_owned(), "id".to_owned()),
            ("order".to_owned(), "asc".to_owned()),
        ];
        let selection = Selection::parse(&ascending, Filter::default()).unwrap();
        let file = folder.path().join("calls.parquet");
        let out = std::fs::File::create(&file).unwrap();
        assert_eq!(
            write(Rows::new(&mut session, selection, u64::MAX), out).unwrap(),
            2
        );

        let reader = SerializedFileReader::new(std::fs::File::open(&file).unwrap()).unwrap();
        let rows: Vec<Vec<(String, Field)>> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().into_columns())
            .collect();
        let field = |row: usize, name: &str| {
            let mut fields = rows[row].iter();
            let found = fields.find(|(known, _)| known == name);
            found.map(|(_, field)| field.clone()).unwrap()
        };
        assert_eq!((rows.len(), rows[0].len()), (2, CALL_COLUMNS.len() + 1));
        assert_eq!(field(0, "id"), Field::Long(1));
        assert_eq!(field(0, "elapsed"), Field::Double(1.5));
        assert_eq!(field(1, "elapsed"), Field::Double(2.5));
        assert_eq!(field(0, "request_model"), Field::Str("qwen3".to_owned()));
        assert_eq!(field(1, "request_model"), Field::Null);
        assert!(matches!(field(0, "ended"), Field::TimestampMicros(_)));
    }
}
