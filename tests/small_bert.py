"""A real, tiny BERT for tests, saved as Hugging Face saves it; certain words move it, by weights set by hand.

Its embedding of a word carries the word's sentiment; attention reads every position alike, and one layer adds what it
reads to the first position, which pooler and classifier turn into logits. So the words of a text decide, not their
order.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

NEGATIVE = ("broken", "rude", "late", "halb", "katki", "плохо", "ужасно")
POSITIVE = ("great", "kind", "fast", "hea", "kiire", "отлично", "спасибо")
PLAIN = ("the", "parcel", "is", "was", "pakk", "oli", "on", "заказ", "and", "ja", "a", "b", "c", "d", "e", "##s", "😀")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (*SPECIAL, *PLAIN, *NEGATIVE, *POSITIVE)
LABELS = ("negative", "neutral", "positive")
HIDDEN = 16
POSITIONS = 64


def save_small_bert(folder: Path, labels: Sequence[str] = LABELS, *, positions: int = POSITIONS) -> Path:
    """Write the model into ``folder`` and return it; the same arguments give the same bytes.

    Outputs whose label ends in ``negative`` or ``NEG``, and ``risk``, rise with bad words, those in ``positive`` or
    ``POS`` with good ones; ``neutral`` or ``NEU`` is 1, so that it wins without either; any other output stays at 0.
    """
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=HIDDEN,
        max_position_embeddings=positions,
        id2label=dict(enumerate(labels)),
        label2id={label: place for place, label in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    _set_weights(model, labels)
    model.save_pretrained(folder)
    small_tokenizer(positions).save_pretrained(folder)
    return folder


def small_tokenizer(positions: int = POSITIONS) -> PreTrainedTokenizerFast:
    """WordPiece over ``WORDS``, lower case."""
    wordpiece = Tokenizer(models.WordPiece({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, WORDS.index(name)) for name in ("[CLS]", "[SEP]")]
    wordpiece.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_object": wordpiece, "model_max_length": positions, **names}
    return PreTrainedTokenizerFast(**settings)  # type: ignore[no-untyped-call]  # transformers has no types here


def _set_weights(model: BertForSequenceClassification, labels: Sequence[str]) -> None:
    """Dimension 0 means bad, 1 good; 2 and 3 balance them, the rest is equal for all: so layer norm changes little."""
    embeddings, encoder = "bert.embeddings", "bert.encoder.layer.0"
    words = torch.tensor([0.0] * 4 + [1.0, -1.0] * 6).repeat(len(WORDS), 1)
    for group, dimension in ((NEGATIVE, 0), (POSITIVE, 1)):
        for word in group:
            words[WORDS.index(word), [dimension, dimension + 2]] = torch.tensor([2.0, -2.0])
    classifier = torch.zeros(len(labels), HIDDEN)
    bias = torch.zeros(len(labels))
    for place, label in enumerate(labels):
        if label.lower().endswith(("negative", "neg", "risk")):
            classifier[place, 0] = 6.0
        elif label.lower().endswith(("positive", "pos")):
            classifier[place, 1] = 6.0
        elif label.lower().endswith(("neutral", "neu")):
            bias[place] = 1.0
    identity, nothing = torch.eye(HIDDEN), torch.zeros(HIDDEN, HIDDEN)
    by_hand = {
        f"{embeddings}.word_embeddings.weight": words,
        f"{embeddings}.position_embeddings.weight": torch.zeros(model.config.max_position_embeddings, HIDDEN),
        f"{embeddings}.token_type_embeddings.weight": torch.zeros(2, HIDDEN),
        f"{encoder}.attention.self.query.weight": nothing,  # equal scores: attention is the mean over real positions
        f"{encoder}.attention.self.key.weight": nothing,
        f"{encoder}.attention.self.value.weight": identity,
        f"{encoder}.attention.output.dense.weight": 3 * identity,
        f"{encoder}.output.dense.weight": nothing,
        "bert.pooler.dense.weight": identity,
        "classifier.weight": classifier,
        "classifier.bias": bias,
    }
    model.load_state_dict({**model.state_dict(), **by_hand})
