//! An eraser that does as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reprieve_application::ports::{EraseAnswer, ErasePlan, EraseRequest, Eraser};
use reprieve_domain::{Address, EraserName, FailureCode};

/// An eraser that answers what it is told to, and erases when it is told nothing.
pub(crate) struct TestEraser {
    name: EraserName,
    answers: Mutex<VecDeque<EraseAnswer>>,
    pub(crate) asked: Mutex<Vec<EraseRequest>>,
}

impl TestEraser {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.parse().unwrap(), answers: Mutex::default(), asked: Mutex::default() })
    }

    /// What it answers next.
    pub(crate) fn will(&self, answer: EraseAnswer) {
        self.answers.lock().unwrap().push_back(answer);
    }

    pub(crate) fn will_fail(&self, times: usize) {
        for _ in 0..times {
            self.will(EraseAnswer::Failed(FailureCode::unreachable()));
        }
    }

    pub(crate) fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl Eraser for TestEraser {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        self.asked.lock().unwrap().push(request.clone());
        self.answers.lock().unwrap().pop_front().unwrap_or(EraseAnswer::Erased { count: 3 })
    }

    async fn plan(&self, _: &Address) -> ErasePlan {
        ErasePlan::Count(3)
    }
}
