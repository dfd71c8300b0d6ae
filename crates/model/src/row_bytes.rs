use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type};

use crate::{Error, Result};

/// The bytes of the first `i` rows in memory, at place `i`: of text its length, of numbers their width, of lists and maps what
/// is in them. Offsets are running sums already, so no row is looked at by itself.
pub fn running_bytes(records: &RecordBatch) -> Result<Vec<u64>> {
    let mut sum = vec![0; records.num_rows() + 1];
    records.columns().iter().try_for_each(|column| add_running_bytes(column.as_ref(), &mut sum))?;
    Ok(sum)
}

fn add_running_bytes(array: &dyn Array, sum: &mut [u64]) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 => add_offsets(array.as_string::<i32>().value_offsets(), sum),
        DataType::List(_) => add_nested(array.as_list::<i32>().value_offsets(), array.as_list::<i32>().values().as_ref(), sum)?,
        DataType::Map(..) => add_nested(array.as_map().value_offsets(), array.as_map().entries(), sum)?,
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|child| add_running_bytes(child.as_ref(), sum))?,
        // A row has what its place in the dictionary has.
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let mut inner = vec![0; dictionary.values().len() + 1];
            add_running_bytes(dictionary.values().as_ref(), &mut inner)?;
            let mut before = 0;
            for (row, total) in sum.iter_mut().enumerate().skip(1) {
                let key = dictionary.keys().value(row - 1) as usize;
                before += inner[key + 1] - inner[key];
                *total += before;
            }
        }
        other => {
            let width = other
                .primitive_width()
                .ok_or_else(|| Error::internal(format!("cannot measure a column of {other}: no canonical schema has one")))?;
            sum.iter_mut().enumerate().for_each(|(index, total)| *total += (index * width) as u64);
        }
    }
    Ok(())
}

fn add_offsets(offsets: &[i32], sum: &mut [u64]) {
    for (total, offset) in sum.iter_mut().zip(offsets) {
        *total += (offset - offsets[0]) as u64;
    }
}

fn add_nested(offsets: &[i32], elements: &dyn Array, sum: &mut [u64]) -> Result<()> {
    let mut inner = vec![0; elements.len() + 1];
    add_running_bytes(elements, &mut inner)?;
    for (total, offset) in sum.iter_mut().zip(offsets) {
        *total += inner[*offset as usize] - inner[offsets[0] as usize];
    }
    Ok(())
}
