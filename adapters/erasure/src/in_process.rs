//! An eraser that is a function of this program.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use reprieve_application::ports::{EraseAnswer, ErasePlan, EraseRequest, Eraser};
use reprieve_domain::{Address, EraserName, FailureCode};

type Erase = Box<dyn Fn(EraseRequest) -> BoxFuture<'static, EraseAnswer> + Send + Sync>;
type Plan = Box<dyn Fn(Address) -> BoxFuture<'static, ErasePlan> + Send + Sync>;

/// Erases by calling a function. If the function panics, or takes longer than it may, this is one failure of the eraser
/// and of nothing else. A function that blocks its thread takes as long as it takes: have it use `spawn_blocking`.
///
/// ```
/// # use std::time::Duration;
/// # use reprieve_application::ports::{EraseAnswer, ErasePlan};
/// # use reprieve_domain::{Address, FailureCode};
/// # use reprieve_erasure::InProcessEraser;
/// # #[derive(Clone)]
/// # struct Files;
/// # impl Files {
/// #     async fn delete_all_of(&self, _: &Address) -> Result<u64, ()> { Ok(3) }
/// # }
/// # let files = Files;
/// let storage_is_down: FailureCode = "storageIsDown".parse()?;
/// let eraser = InProcessEraser::new("files".parse()?, Duration::from_secs(30), move |request| {
///     let (files, storage_is_down) = (files.clone(), storage_is_down.clone());
///     async move {
///         match files.delete_all_of(&request.address).await {
///             Ok(count) => EraseAnswer::Erased { count },
///             Err(_) => EraseAnswer::Failed(storage_is_down),
///         }
///     }
/// })
/// .with_plan(|_address| async { ErasePlan::Unknown });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct InProcessEraser {
    name: EraserName,
    timeout: Duration,
    erase: Erase,
    plan: Option<Plan>,
}

impl InProcessEraser {
    /// `timeout` is how long one call may take; then its future is dropped. Needs a Tokio runtime with its timer.
    pub fn new<F, Answer>(name: EraserName, timeout: Duration, erase: F) -> Self
    where
        F: Fn(EraseRequest) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = EraseAnswer> + Send + 'static,
    {
        Self { name, timeout, erase: Box::new(move |request| erase(request).boxed()), plan: None }
    }

    /// With a function that says what would be erased. Without one, nobody knows in advance.
    #[must_use]
    pub fn with_plan<F, Answer>(self, plan: F) -> Self
    where
        F: Fn(Address) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = ErasePlan> + Send + 'static,
    {
        Self { plan: Some(Box::new(move |address| plan(address).boxed())), ..self }
    }

    /// Neither the function nor what it returns, nor dropping that, gets further with a panic than here.
    async fn guarded<T>(&self, call: impl FnOnce() -> BoxFuture<'static, T>) -> Result<T, FailureCode> {
        let in_time = async { tokio::time::timeout(self.timeout, call()).await };
        match AssertUnwindSafe(in_time).catch_unwind().await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(FailureCode::timed_out()),
            Err(_) => Err(FailureCode::panicked()),
        }
    }
}

#[async_trait]
impl Eraser for InProcessEraser {
    fn name(&self) -> &EraserName {
        &self.name
    }

    async fn erase(&self, request: &EraseRequest) -> EraseAnswer {
        let request = request.clone();
        self.guarded(|| (self.erase)(request)).await.unwrap_or_else(EraseAnswer::Failed)
    }

    async fn plan(&self, address: &Address) -> ErasePlan {
        let Some(plan) = &self.plan else { return ErasePlan::Unknown };
        let address = address.clone();
        self.guarded(|| plan(address)).await.unwrap_or_else(ErasePlan::Failed)
    }
}

impl fmt::Debug for InProcessEraser {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("InProcessEraser").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsWhenDropped;

    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    fn request() -> EraseRequest {
        EraseRequest {
            address: "did:web:example.org".parse().unwrap(),
            process_id: "IDP0123456789abcdefg".parse().unwrap(),
            poll: None,
        }
    }

    fn eraser<F, Answer>(erase: F) -> InProcessEraser
    where
        F: Fn(EraseRequest) -> Answer + Send + Sync + 'static,
        Answer: Future<Output = EraseAnswer> + Send + 'static,
    {
        InProcessEraser::new("files".parse().unwrap(), Duration::from_millis(20), erase)
    }

    #[tokio::test]
    async fn a_function_is_asked_and_its_answer_given() {
        let eraser = eraser(|request| async move {
            assert_eq!(request, super::tests::request());
            EraseAnswer::Erased { count: 3 }
        });
        assert_eq!(eraser.name().as_str(), "files");
        assert_eq!(eraser.erase(&request()).await, EraseAnswer::Erased { count: 3 });
        assert_eq!(eraser.plan(&request().address).await, ErasePlan::Unknown);
        let eraser =
            eraser.with_plan(|address| async move { ErasePlan::Count(address.as_str().len() as u64) });
        assert_eq!(eraser.plan(&request().address).await, ErasePlan::Count(19));
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_the_eraser_alone() {
        let panicked = EraseAnswer::Failed(FailureCode::panicked());
        let at_once = eraser(|_| -> std::future::Ready<EraseAnswer> { panic!("at once") });
        assert_eq!(at_once.erase(&request()).await, panicked);
        let later = eraser(|_| async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        assert_eq!(later.erase(&request()).await, panicked);
        let dropped = eraser(|_| async {
            let _held = PanicsWhenDropped;
            std::future::pending().await
        });
        assert_eq!(dropped.erase(&request()).await, panicked);
        let planning = at_once.with_plan(|_| async { panic!("planning") });
        assert_eq!(planning.plan(&request().address).await, ErasePlan::Failed(FailureCode::panicked()));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let eraser = eraser(|_| std::future::pending()).with_plan(|_| std::future::pending());
        assert_eq!(eraser.erase(&request()).await, EraseAnswer::Failed(FailureCode::timed_out()));
        assert_eq!(eraser.plan(&request().address).await, ErasePlan::Failed(FailureCode::timed_out()));
    }
}
