//! Tensors that are used again.
//!
//! A slice takes some forty planes. Asked of the system each time, their pages would be mapped, cleared and
//! given back each time, which costs more than many of the convolutions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tract_core::internal::*;

/// Where a plane begins: on a line of the cache, or tiles would be read across two.
const ALIGNMENT: usize = 64;

/// Tensors by kind and length, of one network. It holds no more than were in use at once.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<HashMap<(DatumType, usize), Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    free: Vec<Tensor>,
    /// Tensors that were taken and have not come back.
    away: usize,
}

impl Buffers {
    /// Bytes; nobody knows which.
    pub fn bytes(&self, length: usize) -> TractResult<Tensor> {
        self.take(DatumType::U8, length)
    }

    /// Floats; nobody knows which.
    pub fn floats(&self, length: usize) -> TractResult<Tensor> {
        self.take(DatumType::F32, length)
    }

    fn take(&self, kind: DatumType, length: usize) -> TractResult<Tensor> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = all.entry((kind, length)).or_default();
        shelf.away += 1;
        let used = shelf.free.pop();
        drop(all);
        used.map_or_else(|| Tensor::zero_aligned_dt(kind, &[length], ALIGNMENT), Ok)
    }

    /// Takes a tensor back, if it is one of these; drops it if not.
    pub fn give(&self, tensor: Tensor) {
        let &[length] = tensor.shape() else {
            return;
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shelf) = all.get_mut(&(tensor.datum_type(), length))
            && shelf.away > 0
        {
            shelf.away -= 1;
            shelf.free.push(tensor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_used_again_and_strangers_are_dropped() {
        let buffers = Buffers::default();
        let place = |t: &Tensor| t.try_as_plain_ram().unwrap().as_bytes().as_ptr();
        let (one, two) = (buffers.bytes(100).unwrap(), buffers.bytes(100).unwrap());
        let first = place(&one);
        assert!(first.align_offset(ALIGNMENT) == 0 && first != place(&two));
        buffers.give(one);
        let again = buffers.bytes(100).unwrap();
        assert_eq!(place(&again), first);
        for tensor in [two, again] {
            buffers.give(tensor);
        }
        // Neither more than were taken, nor what was never taken.
        for stranger in [100, 100, 7] {
            buffers.give(Tensor::zero::<u8>(&[stranger]).unwrap());
        }
        let all = buffers.0.lock().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[&(DatumType::U8, 100)].free.len(), 2);
    }
}
