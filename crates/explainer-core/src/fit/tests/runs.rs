//! Runs that share a folder, are stopped, or write what JSON has no number for.

use super::*;
use crate::checksum;

#[test]
fn a_fit_has_its_folder_for_itself_until_it_ends() {
    /// Tries to fit in the same folder from within the fit.
    struct Intruder<'a> {
        fit: &'a dyn Fn() -> CoreError,
        refused: Vec<String>,
    }
    impl InterpretabilityLoss for Intruder<'_> {
        fn description(&self) -> String {
            "silence".to_string()
        }
        fn value_and_gradient(
            &mut self,
            _: usize,
            maps: Tensor<4>,
            _: Tensor<2, Bool>,
        ) -> (Tensor<1>, Tensor<4>) {
            self.refused.push((self.fit)().to_string());
            (Tensor::zeros([maps.dims()[1]], &maps.device()), maps.zeros_like())
        }
    }
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    let second = || config.fit(explainer.clone(), &performer, &train, None).unwrap_err();
    let mut intruder = Intruder { fit: &second, refused: Vec::new() };
    config.fit_with(&mut intruder, explainer.clone(), &performer, &train, None).unwrap();
    assert!(!intruder.refused.is_empty());
    for error in &intruder.refused {
        assert!(error.contains("in use by another run"), "{error}");
    }
    // Afterwards it is free: the checkpoint is refused for its loss, and not the folder.
    assert!(second().to_string().contains("loss was"));
}

#[test]
fn a_fit_that_is_stopped_goes_on_as_if_it_was_not() {
    /// Raises the flag at a step.
    struct Raises {
        flag: StopFlag,
        at: usize,
        calls: usize,
    }
    impl InterpretabilityLoss for Raises {
        fn description(&self) -> String {
            "silence".to_string()
        }
        fn value_and_gradient(
            &mut self,
            _: usize,
            maps: Tensor<4>,
            _: Tensor<2, Bool>,
        ) -> (Tensor<1>, Tensor<4>) {
            self.calls += 1;
            if self.calls == self.at {
                self.flag.raise();
            }
            (Tensor::zeros([maps.dims()[1]], &maps.device()), maps.zeros_like())
        }
    }
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let fit = |config: &FitConfig, at: usize| {
        let flag = StopFlag::new();
        let mut loss = Raises { flag: flag.clone(), at, calls: 0 };
        let config = config.clone().with_stop(Some(flag));
        config.fit_with(&mut loss, explainer.clone(), &performer, &train, None)
    };
    let plain = config().with_epochs(3);
    let whole = fit(&plain, usize::MAX).unwrap();
    let kept = plain.clone().with_checkpoints(Some(folder.path().to_path_buf()));
    let error = fit(&plain, 1).unwrap_err();
    assert!(matches!(error, CoreError::Stopped { epoch: 1, checkpoints: None }), "{error}");
    assert!(error.to_string().contains("nothing of it is kept"), "{error}");
    // Three steps of two layers are an epoch.
    let error = fit(&kept, 2 * 3 + 1).unwrap_err();
    assert!(matches!(error, CoreError::Stopped { epoch: 2, checkpoints: Some(_) }), "{error}");
    assert!(error.to_string().contains("stopped in epoch 2: 1 is kept in "), "{error}");
    assert_eq!(entries(folder.path()), ["epoch-0001"]);
    // In the last step: the fit's end waits for the next run.
    let error = fit(&kept, 2 * 2 * 3).unwrap_err();
    assert!(matches!(error, CoreError::Stopped { epoch: 4, .. }), "{error}");
    let resumed = fit(&kept, usize::MAX).unwrap();
    assert_eq!(checksum(&resumed.explainer), checksum(&whole.explainer));
}

#[test]
fn numbers_that_are_not_finite_do_not_end_a_fits_checkpoints() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(2).with_checkpoints(Some(folder.path().to_path_buf()));
    config.clone().with_epochs(1).fit(explainer.clone(), &performer, &train, None).unwrap();
    let file = folder.path().join("epoch-0001/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    state["records"][0]["reconstruction"] = serde_json::json!(["NaN", "inf"]);
    state["records"][0]["validation"] = serde_json::json!({
        "relative_error": ["-inf", 0.5], "agreement": "NaN", "mass_share": null, "instability": "NaN",
    });
    std::fs::write(&file, state.to_string()).unwrap();
    let fit = config.fit(explainer.clone(), &performer, &train, None).unwrap();
    let check = |fit: &Fit| {
        let first = &fit.records[0];
        let validation = first.validation.as_ref().unwrap();
        assert!(first.reconstruction[0].is_nan() && first.reconstruction[1] == f64::INFINITY);
        assert_eq!(validation.relative_error, [f64::NEG_INFINITY, 0.5]);
        assert!(validation.agreement.is_nan() && validation.instability.is_some_and(f64::is_nan));
        assert_eq!((validation.mass_share, fit.records.len()), (None, 2));
    };
    check(&fit);
    assert_eq!(entries(folder.path()), ["epoch-0002"]);
    check(&config.fit(explainer, &performer, &train, None).unwrap());
}

#[test]
fn a_checkpoint_of_other_numerics_is_refused() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    let config = config().with_epochs(1).with_checkpoints(Some(folder.path().to_path_buf()));
    config.fit(explainer.clone(), &performer, &train, None).unwrap();
    let file = folder.path().join("epoch-0001/state.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(state["setting"]["numerics"], crate::NUMERICS_VERSION);
    state["setting"]["numerics"] = serde_json::json!(0);
    std::fs::write(&file, state.to_string()).unwrap();
    let error = config.fit(explainer, &performer, &train, None).unwrap_err().to_string();
    assert!(error.contains("numerics was 0, is "), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written_is_found_before_the_first_step() {
    let (performer, train, explainer) = setup(10);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let mut loss = Silence { calls: 0, strength: 2.0 };
    let config = config().with_checkpoints(Some(folder.path().join("file/below")));
    let error = config.fit_with(&mut loss, explainer, &performer, &train, None).unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
    assert_eq!(loss.calls, 0);
}
