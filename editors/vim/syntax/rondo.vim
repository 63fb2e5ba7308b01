" Vim syntax file for Rondo (*.rondo). Written by editors/make.sh from the compiler's tables; do not edit.
if exists("b:current_syntax")
  finish
endif
syntax case match
syntax keyword rondoStatement cell fn import model param const state return repeat in grad init input loss metric noise optimizer output
syntax keyword rondoStatement target
syntax keyword rondoType bool seq token
syntax keyword rondoOperatorWord and mod not or
syntax keyword rondoBoolean false true
syntax keyword rondoBuiltin abs argmax bernoulli column cos erf exp expm1 floor log log1p max mean min normal orthogonal outer reshape
syntax keyword rondoBuiltin reverse row shift sigmoid sin softmax split sqrt stop sum tanh then uniform where
syntax keyword rondoStd accuracy adadelta adagrad adam adam_torch adamax adamw additive_attention affine antisymmetric_rnn
syntax keyword rondoStd attention_pool autoregression average bidirectional binary_accuracy binary_confusion binary_crossentropy
syntax keyword rondoStd bits_per_character categorical_accuracy categorical_crossentropy categorical_hinge causal_conv celu cfc
syntax keyword rondoStd change_of_16 change_of_2 change_of_256 chrono clip clockwork clockwork_links clockwork_period complex_normal
syntax keyword rondoStd confusion constant cornn cosine_loss cosine_similarity deltanet dense direction dropout dropout_sequence
syntax keyword rondoStd each_f1 each_precision each_recall elu embedding esr exponential eye f1 fan fastgrnn fastgrnn_low_rank
syntax keyword rondoStd fastrnn first_within focal_crossentropy gated_deltanet gaussian_crossentropy gaussian_noise gelu gelu_tanh
syntax keyword rondoStd glorot_normal glorot_uniform glu group_norm gru gru_v1 gru_v3 hard_shrink hard_sigmoid hard_sigmoid6
syntax keyword rondoStd hard_silu hard_tanh he_normal he_uniform hinge huber identity indrnn irnn jordan kaiming_normal
syntax keyword rondoStd kaiming_uniform kl_divergence layer_norm layernorm_lstm leaky_relu lecun_normal lecun_uniform legendre_system
syntax keyword rondoStd lem ligru linear linear_attention lion lmu log_cosh log_densities log_of_column log_sigmoid log_softmax
syntax keyword rondoStd logsumexp lru lstm lstm_1997 lstm_coupled lstm_peephole lstm_projected ltc macro_f1 macro_precision
syntax keyword rondoStd macro_recall mae mape matthews mgu micro_f1 mingru minlstm mish mixture_density mlstm mlstm_heads momentum
syntax keyword rondoStd mse msle mut1 nadam nesterov norm normalised ntm ntm_content ntm_head ntm_sharp ntm_turned one_of_four ones
syntax keyword rondoStd perplexity phased_lstm poisson pr_auc precision pytorch_biases pytorch_uniform qrnn quantile r2 random_normal
syntax keyword rondoStd random_uniform ratio recall recurrent_dropout relu relu6 relu_between residual residual_stack rglru rhn
syntax keyword rondoStd rhn_deep rhn_layer rms_norm rmse rmsprop roc_auc s4d_real scaled_dot_attention scaled_orthogonal scaled_tanh
syntax keyword rondoStd self_attention selu sgd share_of_orthogonal sigmoid_crossentropy sign silu simple_rnn slstm slstm_heads
syntax keyword rondoStd small_change smooth smooth_categorical_crossentropy smooth_softmax_crossentropy soft_shrink
syntax keyword rondoStd softmax_crossentropy softmax_crossentropy_soft softplus softsign sparse_accuracy sparse_crossentropy
syntax keyword rondoStd sparse_plus sparse_sigmoid sparsemax specificity square squared_hinge squareplus sru supported swish
syntax keyword rondoStd tanh_shrink threshold thresholded_relu top_k torch_linear trunc_normal truncated_normal ugrnn unit
syntax keyword rondoStd variance_scaling weighted_sigmoid_crossentropy weighted_softmax_crossentropy within_two xavier_normal
syntax keyword rondoStd xavier_uniform zeros zoneout zoneout_lstm
syntax keyword rondoConstant col fan_in fan_out pi row training
syntax keyword rondoKey contained accumulate batch bptt bucket class_weights classes clip_norm clip_value column csv date decay decimal
syntax keyword rondoKey contained early_stopping epochs freeze gaps gradient horizon jsonl lines lower_case lr_scale made max_length min_delta
syntax keyword rondoKey contained monitor no_decay npz optimizer padding restore_best run sample_weights scale schedule seed separator shuffle
syntax keyword rondoKey contained split stateful stride target_column teacher test text ts unit unknown validation wav window
syntax match rondoMember "\.\(T\|first\|last\|max\|mean\|softmax\|sum\)\>"hs=s+1
syntax match rondoPrimed "\<[A-Za-z_][A-Za-z0-9_]*'"
syntax match rondoSize "\<[A-Z][A-Za-z0-9_]*\>"
syntax match rondoNumber "\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?\>"
syntax region rondoString start=+"+ skip=+\\.+ end=+"+ oneline
syntax match rondoComment "#.*$" contains=@Spell
syntax region rondoSettings matchgroup=rondoStatement start="\<\(train\|data\)\>\s*\(\h\w*\s*\)\?{" end="}" contains=rondoKey,rondoNumber,rondoString,rondoComment,rondoBoolean,rondoStd,rondoSize
highlight default link rondoStatement Statement
highlight default link rondoType Type
highlight default link rondoOperatorWord Operator
highlight default link rondoBoolean Boolean
highlight default link rondoBuiltin Function
highlight default link rondoStd Function
highlight default link rondoConstant Constant
highlight default link rondoKey Identifier
highlight default link rondoMember Function
highlight default link rondoPrimed Identifier
highlight default link rondoSize Type
highlight default link rondoNumber Number
highlight default link rondoString String
highlight default link rondoComment Comment
let b:current_syntax = "rondo"
