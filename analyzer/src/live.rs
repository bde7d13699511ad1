//! What may be replaced while it is in use, such as settings: the old one lives on with those that hold it.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// A value in force, shared by all that go by it.
#[derive(Debug)]
pub struct Live<T>(Arc<ArcSwap<T>>);

impl<T> Live<T> {
    /// What is in force now.
    pub fn current(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Puts another into force, for all that ask from now on.
    pub fn replace(&self, value: T) {
        self.0.store(Arc::new(value));
    }

    /// Brings what somebody holds up to date; costs next to nothing where it is.
    pub fn refresh(&self, held: &mut Arc<T>) {
        let current = self.0.load();
        if !Arc::ptr_eq(&current, held) {
            *held = Arc::clone(&current);
        }
    }
}

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for Live<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T> From<Arc<T>> for Live<T> {
    fn from(value: Arc<T>) -> Self {
        Self(Arc::new(ArcSwap::new(value)))
    }
}

impl<T> From<T> for Live<T> {
    fn from(value: T) -> Self {
        Arc::new(value).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_the_old_keeps_it_until_it_asks() {
        let live = Live::from(1);
        let (holder, mut held) = (live.clone(), live.current());
        live.replace(2);
        assert_eq!((*held, *holder.current()), (1, 2));
        holder.refresh(&mut held);
        assert_eq!(*held, 2);
    }
}
