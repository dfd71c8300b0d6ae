//! Reads rows of one row group: the columns of the filters first, one filter after the other on what the last one left, then the
//! wanted columns of the rows that remain.

use std::cell::Cell;
use std::sync::Arc;

use arrow::array::{BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use model::origin::{self, Origins};
use model::schema::column;
use model::{Order, Result, Subject, Table};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::RowGroupMetaData;

use super::blocks::Part;
use super::filter::{CompiledFilter, time_mask};
use super::merge::Key;
use super::template::TemplateTest;
use super::{Plan, prune};
use crate::lake::columns::{file_columns, wide_schema, widened};
use crate::lake::files::LakeFile;
use crate::lake::handle::Handle;
use crate::lake::pages::Columns;
use crate::lake::template::{BODY, TEMPLATE, VARIABLES, letters_of};

const BATCH_ROWS: usize = 8192;

/// Of columns that have a few bytes in each row.
const NARROW_BATCH_ROWS: usize = 4 * BATCH_ROWS;

/// Where fewer than one row in so many is wanted, the others are stepped over: to read them all and pick costs more when they
/// are texts, lists or maps.
const SPARSE: usize = 8;

/// One row group of one file, opened.
pub(crate) struct Group {
    plan: Arc<Plan>,
    file: Arc<LakeFile>,
    handle: Handle,
    footer: ArrowReaderMetadata,
    group: usize,
    part: Part,
    filters: Arc<Vec<CompiledFilter>>,
}

/// The rows of a group that the answer wants; without a selection all of them.
pub(crate) struct Chosen {
    selection: Option<RowSelection>,
    rows: usize,
}

impl Group {
    pub(crate) fn open(plan: Arc<Plan>, file: Arc<LakeFile>, group: usize, part: Part, filters: Arc<Vec<CompiledFilter>>) -> Result<Self> {
        let (handle, footer) = plan.shared.footers.open(&file)?;
        Ok(Self { plan, file, handle, footer, group, part, filters })
    }

    /// Applies the time range and every filter. With `top`, keeps only the first so many rows in the plan's order, those
    /// after `bound` not among them.
    pub(crate) fn choose(&self, top: Option<usize>, bound: Option<Key>) -> Result<Chosen> {
        let metadata = self.footer.metadata().row_group(self.group);
        let group_rows = usize::try_from(metadata.num_rows()).unwrap_or_default();
        let rows = self.part.rows.iter().map(ExactSizeIterator::len).sum();
        let selection = (rows < group_rows).then(|| RowSelection::from_consecutive_ranges(self.part.rows.iter().cloned(), group_rows));
        let mut chosen = Chosen { selection, rows };
        self.plan.count(|stats| stats.rows_scanned += rows as u64);
        let range = self.plan.time;
        let (first, last) = self.part.time;
        let inside = range.contains(first) && range.contains(last) && self.plan.is_instant();
        if !inside {
            let (first, last) = self.plan.table.time_columns();
            self.refine(&mut chosen, &[first, last], |records| time_mask(self.plan.table, records, range))?;
        }
        let hidden = &self.plan.hidden;
        if hidden.touches(&self.file.stats) {
            self.refine(&mut chosen, &hidden.columns(), |records| hidden.kept(records))?;
        }
        let (coded, others): (Vec<_>, Vec<_>) = self.filters.iter().partition(|filter| self.coded_column(filter).is_some());
        self.filter_by_codes(&mut chosen, &coded)?;
        for filter in others {
            self.filter(&mut chosen, filter)?;
        }
        if let Some(top) = top {
            self.keep_top(&mut chosen, top, bound)?;
        }
        Ok(chosen)
    }

    /// The column of a filter that a dictionary decides: each of its texts is tested once.
    fn coded_column<'f>(&self, filter: &'f CompiledFilter) -> Option<&'f str> {
        let group = self.footer.metadata().row_group(self.group);
        match &filter.subject {
            Subject::Column(name) if name != BODY && has_dictionary(group, name) => Some(name),
            _ => None,
        }
    }

    /// Reads what these filters ask for at once: to choose rows for the next costs more than to look at its codes.
    fn filter_by_codes(&self, chosen: &mut Chosen, filters: &[&CompiledFilter]) -> Result<()> {
        let columns: Vec<&str> = filters.iter().filter_map(|filter| self.coded_column(filter)).collect();
        if columns.is_empty() {
            return Ok(());
        }
        self.refine_stored(chosen, &self.as_dictionaries(&columns), &columns, |records| {
            let mut masks = filters.iter().map(|filter| filter.mask(records));
            let first = masks.next().unwrap_or_else(|| Ok(vec![true; records.num_rows()].into()))?;
            masks.try_fold(first, |kept, mask| Ok(arrow::compute::and(&kept, &mask?)?))
        })
    }

    fn filter(&self, chosen: &mut Chosen, filter: &CompiledFilter) -> Result<()> {
        let metadata = self.footer.metadata();
        let group = metadata.row_group(self.group);
        if prune::leaf(group, TEMPLATE).is_some()
            && let Some(test) = TemplateTest::of(filter, letters_of(metadata, self.group))
        {
            return self.filter_by_template(chosen, &test);
        }
        self.refine(chosen, &filter.columns(), |records| filter.mask(records))
    }

    /// Looks at the variables only when templates leave rows for which they decide.
    fn filter_by_template(&self, chosen: &mut Chosen, test: &TemplateTest<'_>) -> Result<()> {
        let fields = self.as_dictionaries(&[TEMPLATE]);
        let decided = Cell::new(true);
        self.refine_stored(chosen, &fields, &[TEMPLATE], |records| {
            let (mask, all) = test.by_template(records)?;
            decided.set(decided.get() && all);
            Ok(mask)
        })?;
        match decided.get() {
            true => Ok(()),
            false => self.refine_stored(chosen, &fields, &[BODY, TEMPLATE, VARIABLES], |records| test.mask(records)),
        }
    }

    /// The file's fields with these texts as dictionaries, so that each text of them is looked at once.
    fn as_dictionaries(&self, names: &[&str]) -> Fields {
        let kind = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let is_named = |field: &Field| names.contains(&field.name().as_str()) && *field.data_type() == DataType::Utf8;
        let fields = self.footer.schema().fields().iter().map(|field| match is_named(field) {
            true => Arc::new(field.as_ref().clone().with_data_type(kind())),
            false => field.clone(),
        });
        fields.collect()
    }

    fn refine(&self, chosen: &mut Chosen, columns: &[&str], mask: impl Fn(&RecordBatch) -> Result<BooleanArray>) -> Result<()> {
        let declared = &self.plan.declared;
        let unpacked = |records: &RecordBatch| mask(&widened(self.file.unpacked(records.clone())?, columns, declared)?);
        self.refine_stored(chosen, self.footer.schema().fields(), &file_columns(self.footer.schema(), columns, declared), unpacked)
    }

    /// By columns as the file has them.
    fn refine_stored(
        &self,
        chosen: &mut Chosen,
        fields: &Fields,
        columns: &[&str],
        mask: impl Fn(&RecordBatch) -> Result<BooleanArray>,
    ) -> Result<()> {
        if chosen.rows == 0 {
            return Ok(());
        }
        let masks = self.batches(fields, columns, chosen)?.map(|records| mask(&records?)).collect::<Result<Vec<_>>>()?;
        chosen.narrow(&masks);
        Ok(())
    }

    /// Reads only the time of the rows that are left, so that a limit of a hundred decodes a hundred bodies.
    fn keep_top(&self, chosen: &mut Chosen, top: usize, bound: Option<Key>) -> Result<()> {
        let worth = |key: Key| bound.is_none_or(|bound| key < bound);
        let name = self.plan.order_column();
        let mut keys: Vec<(Key, usize)> = Vec::with_capacity(chosen.rows);
        if chosen.rows > 0 {
            for records in self.batches(self.footer.schema().fields(), &[name], chosen)? {
                let records = records?;
                let times: &Int64Array = column(&records, name)?;
                let start = keys.len();
                keys.extend(times.values().iter().enumerate().map(|(row, &time)| (Key::of(self.plan.order, time), start + row)));
            }
        }
        let mut keep = vec![false; keys.len()];
        keys.retain(|(key, _)| worth(*key));
        if keys.len() > top {
            keys.select_nth_unstable(top);
            keys.truncate(top);
        }
        keys.iter().for_each(|(_, row)| keep[*row] = true);
        chosen.narrow(&[BooleanArray::from(keep)]);
        Ok(())
    }

    /// The chosen rows with the plan's columns.
    pub(crate) fn read(&self, chosen: &Chosen) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
        if chosen.rows == 0 {
            return Ok(Box::new(std::iter::empty()));
        }
        let plan = self.plan.clone();
        let mut names: Vec<&str> = plan.read_columns.iter().map(String::as_str).collect();
        let trims = plan.table == Table::Samples && plan.hidden.touches(&self.file.stats);
        if trims {
            names.extend(plan.hidden.columns());
        }
        let stored = file_columns(self.footer.schema(), &names, &plan.declared);
        let group = self.footer.metadata().row_group(self.group);
        let encoded: Vec<&str> = plan.dictionaries.iter().map(String::as_str).filter(|name| has_dictionary(group, name)).collect();
        let fields = self.as_dictionaries(&encoded);
        let schema = file_types(&plan.read_schema, &fields, &encoded);
        let (file, batches) = (self.file.clone(), self.batches(&fields, &stored, chosen)?);
        // The reader gives columns in the file's order, and with the file's own metadata on fields.
        Ok(Box::new(batches.map(move |records| {
            let mut records = file.unpacked(records?)?;
            if trims {
                records = plan.hidden.trim(records)?.0;
            }
            let names: Vec<&str> = plan.read_columns.iter().map(String::as_str).collect();
            records = widened(records, &names, &plan.declared)?;
            let columns = schema.fields().iter().map(|field| match records.column_by_name(field.name()) {
                Some(array) => array.clone(),
                // The file is older than the column, or the row group has nothing in it.
                None => new_null_array(field.data_type(), records.num_rows()),
            });
            let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
            Ok(RecordBatch::try_new_with_options(schema.clone(), columns.collect(), &options)?)
        })))
    }

    /// Columns of the chosen rows, as `fields` of the file say.
    fn batches(
        &self,
        fields: &Fields,
        columns: &[&str],
        chosen: &Chosen,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>> {
        let (file, metadata) = (self.file.clone(), self.footer.metadata());
        let group = metadata.row_group(self.group);
        let is_read = |name: &str| columns.contains(&name) && !prune::has_nothing_in(group, name);
        let roots: Vec<usize> = (0..fields.len()).filter(|&at| is_read(fields[at].name())).collect();
        let mask = ProjectionMask::roots(self.footer.parquet_schema(), roots.iter().copied());
        self.count_bytes(group, &mask, chosen.rows);
        let is_narrow = roots.iter().all(|&root| {
            let kind = fields[root].data_type();
            kind.is_primitive() || matches!(kind, DataType::Boolean | DataType::Dictionary(..))
        });
        let selection = chosen.selection.clone().map(|selection| match is_narrow {
            true => selection,
            false => stepping(selection, chosen.rows),
        });
        let batch_rows = if is_narrow { NARROW_BATCH_ROWS } else { BATCH_ROWS };
        let columns = Columns::new(self.handle.clone(), metadata.clone(), self.group);
        let levels = parquet_to_arrow_field_levels(self.footer.parquet_schema(), mask, Some(fields));
        let reader = levels.and_then(|levels| {
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &columns, batch_rows.min(columns.num_rows()), selection)
        });
        let reader = reader.map_err(|error| file.corrupt(error))?;
        Ok(reader.map(move |records| records.map_err(|error| file.corrupt(error))))
    }

    /// Compressed bytes of the columns, as far as the rows left reach into them: pages without a row are not read.
    fn count_bytes(&self, metadata: &RowGroupMetaData, mask: &ProjectionMask, rows: usize) {
        let columns = metadata.columns().iter().enumerate().filter(|(leaf, _)| mask.leaf_included(*leaf));
        let bytes: i64 = columns.map(|(_, column)| column.compressed_size()).sum();
        let share = rows as f64 / metadata.num_rows().max(1) as f64;
        self.plan.count(|stats| stats.bytes_scanned += (bytes as f64 * share) as u64);
    }
}

fn has_dictionary(group: &RowGroupMetaData, name: &str) -> bool {
    prune::leaf(group, name).is_some_and(|leaf| group.column(leaf).dictionary_page_offset().is_some())
}

/// A selection of sparse rows with the others stepped over one by one, not read and picked from.
///
/// Parquet's reader steps where runs are long on average. What is skipped at the very end is in this average, and cut off before
/// anything is read.
fn stepping(selection: RowSelection, rows: usize) -> RowSelection {
    /// More than the length of a run from which on the reader steps.
    const LONG_RUN: usize = 64;
    if rows >= selection.skipped_row_count() / SPARSE {
        return selection;
    }
    let mut runs: Vec<RowSelector> = selection.into();
    runs.push(RowSelector::skip(runs.len() * LONG_RUN));
    runs.into()
}

/// The schema with these columns as the file's fields have them.
fn file_types(schema: &SchemaRef, stored: &Fields, names: &[&str]) -> SchemaRef {
    if names.is_empty() {
        return schema.clone();
    }
    let fields = schema.fields().iter().map(|field| match stored.find(field.name()) {
        Some((_, stored)) if names.contains(&field.name().as_str()) => {
            Arc::new(field.as_ref().clone().with_data_type(stored.data_type().clone()))
        }
        _ => field.clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

impl Chosen {
    fn narrow(&mut self, masks: &[BooleanArray]) {
        let rows: usize = masks.iter().map(BooleanArray::true_count).sum();
        if rows == self.rows {
            return;
        }
        let kept = RowSelection::from_filters(masks);
        self.rows = rows;
        self.selection = Some(match self.selection.take() {
            Some(before) => before.and_then(&kept),
            None => kept,
        });
    }
}

/// The rows of a batch in memory that pass the time range and the filters, with the plan's columns.
pub(crate) fn filter_batch(plan: &Plan, records: &RecordBatch) -> Result<RecordBatch> {
    let of_filters = plan.filters.iter().flat_map(CompiledFilter::columns);
    let names: Vec<&str> = plan.read_columns.iter().map(String::as_str).chain(of_filters).collect();
    let records = &widened(records.clone(), &names, &plan.declared)?;
    let mut mask = time_mask(plan.table, records, plan.time)?;
    for filter in &plan.filters {
        if mask.true_count() == 0 {
            break;
        }
        mask = arrow::compute::and(&mask, &mask_of(filter, records)?)?;
    }
    match mask.true_count() == mask.len() {
        true => project(plan, records),
        // What is packed is unpacked for the rows that are left.
        false if Origins::of(records).is_some() => project(plan, &arrow::compute::filter_record_batch(records, &mask)?),
        false => Ok(arrow::compute::filter_record_batch(&project(plan, records)?, &mask)?),
    }
}

/// Which rows a filter keeps: what it asks of an origin is asked of each once.
fn mask_of(filter: &CompiledFilter, records: &RecordBatch) -> Result<BooleanArray> {
    let Some(origins) = Origins::of(records) else { return filter.mask(records) };
    let names = filter.columns();
    if names.iter().all(|name| origin::COLUMNS.contains(name)) {
        return Ok(origins.spread(&filter.mask(&origins.rows())?));
    }
    let columns = names.iter().map(|name| Ok((*name, origin::flat_column(records, name)?, true))).collect::<Result<Vec<_>>>()?;
    filter.mask(&RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// The rows of a batch that meet the time range, with the plan's columns.
pub(crate) fn in_time(plan: &Plan, records: &RecordBatch) -> Result<RecordBatch> {
    Ok(arrow::compute::filter_record_batch(&project(plan, records)?, &time_mask(plan.table, records, plan.time)?)?)
}

/// The plan's columns of a canonical batch.
pub(crate) fn project(plan: &Plan, records: &RecordBatch) -> Result<RecordBatch> {
    if Origins::of(records).is_none() {
        let indices = plan.read_columns.iter().map(|name| records.schema_ref().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        return Ok(records.project(&indices)?);
    }
    let (own, wide) = (records.schema_ref(), wide_schema(plan.table, &plan.declared));
    let field = |name: &String| own.field_with_name(name).or_else(|_| wide.field_with_name(name)).cloned();
    let fields = plan.read_columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let columns = plan.read_columns.iter().map(|name| origin::flat_column(records, name)).collect::<Result<Vec<_>>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)?)
}

impl Key {
    pub(crate) fn of(order: Order, time: i64) -> Self {
        // `!time` reverses the order of all 64-bit integers without overflow.
        Self(if order == Order::NewestFirst { !time } else { time })
    }
}
