"""The late fusion of Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017."""

import keras
from keras import ops

from glimpse.models.step_training import StepTraining

# Its members are given, so it has no sizes.
VARIANTS = {"ensemble": {}}


@keras.saving.register_keras_serializable(package="glimpse")
class EnsembleClassifier(StepTraining):
    """Averages the probabilities of several trained classifiers (section 4.4 of the paper).

        p(class) = mean over members m of p_m(class)

    "Model combination has been implemented by averaging the softmax output scores over multiple
    aLSTM models." The members may be of any family, may see several features, and are saved in the
    ensemble's file. There is one answer a clip, since members need not have the same steps.

    The members are meant to be trained already. `fit` tunes all of them together by the
    cross-entropy of the mean.

    Args:
        members: Classifiers of the same classes, in the same order.
        member_names: A name for each; default `member_1`, `member_2`, ...
        member_inputs: For each member a dict from the names of its inputs (its `input_names`) to
            those of the ensemble, or None where they are the same. By default inputs of one name
            are one input. Two models that attend to objects and to scenes need
            `[{"attended": "objects"}, {"attended": "scenes"}]`.

    Call arguments:
        inputs: A dict of tensors by the ensemble's `input_names`, the union of its members' in
            their order, or a list or tuple of them in this order; where there is one name, the
            tensor itself.
        attended: The second of two inputs, if `inputs` is the first alone.
        mask: As `inputs`, True where the step (of attended data: the frame) is real; names may
            be left out of a dict, and a list may hold None. Where the second of two inputs is
            what members attend to, a mask alone is that of the first.
        attended_mask: That of the second of two inputs, if `mask` is that of the first.
        attention_override: A dict of member names to maps, as that member takes them; where
            exactly one attends, its maps alone will do.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits` (their log), `step_logits` and
        `step_probabilities (batch, 1, classes)`; where members attend,
        `member_attention_weights`, a dict of maps by member name; and, where exactly one attends,
        its map as `attention_weights` too. A clip that is all padding has probabilities of zero.

    Raises:
        ValueError: If members differ in their classes, or an argument does not fit them.
    """

    def __init__(self, members, member_names=None, member_inputs=None, **kwargs):
        super().__init__(**kwargs)
        members = list(members)
        if not members:
            raise ValueError("`members` must hold a classifier at least; received none.")
        for number, member in enumerate(members):
            if not isinstance(member, StepTraining) or isinstance(member, EnsembleClassifier):
                raise ValueError(
                    f"`members[{number}]` must be a classifier of the zoo, and no ensemble; "
                    f"received {member!r}."
                )
        if member_names is None:
            member_names = [f"member_{number + 1}" for number in range(len(members))]
        if len(set(member_names)) != len(members) or len(member_names) != len(members):
            raise ValueError(
                f"`member_names` must hold {len(members)} different names; got {member_names}."
            )
        self.members = members
        self.member_names = list(member_names)
        self._check_classes()
        self.member_inputs = member_inputs
        self._sources = self._find_sources(member_inputs)
        names = [name for sources in self._sources for name in sources.values()]
        self.input_names = tuple(dict.fromkeys(names))

    @property
    def num_classes(self):
        return self.members[0].num_classes

    @property
    def multi_label(self):
        return self.members[0].multi_label

    @property
    def label_names(self):
        return self.members[0].label_names

    @property
    def sampling(self):
        """The members', if they all have the same; else None."""
        first = self.members[0].sampling
        return first if all(member.sampling == first for member in self.members) else None

    def _check_classes(self):
        for what in ("num_classes", "multi_label", "label_names"):
            first = getattr(self.members[0], what)
            for name, member in zip(self.member_names, self.members, strict=True):
                other = getattr(member, what)
                if other != first:
                    raise ValueError(
                        f"`members` must have the same `{what}`; {name} has {other}, "
                        f"{self.member_names[0]} has {first}."
                    )

    def _find_sources(self, member_inputs):
        """For each member, its inputs' names with those of the ensemble."""
        renamed = [None] * len(self.members) if member_inputs is None else member_inputs
        if len(renamed) != len(self.members):
            raise ValueError(
                f"`member_inputs` must hold {len(self.members)} dicts, one a member; "
                f"got {len(renamed)}."
            )
        sources = []
        for name, member, names in zip(self.member_names, self.members, renamed, strict=True):
            unknown = set(names or ()) - set(member.input_names)
            if unknown:
                raise ValueError(
                    f"`member_inputs` of {name} may hold {', '.join(member.input_names)}; "
                    f"got {', '.join(sorted(unknown))}."
                )
            sources.append({own: (names or {}).get(own, own) for own in member.input_names})
        return sources

    def build(
        self,
        inputs_shape,
        attended_shape=None,
        mask_shape=None,
        attended_mask_shape=None,
        attention_override_shape=None,
    ):
        shapes = self._by_name("inputs", inputs_shape, "attended", attended_shape)
        for member, sources in zip(self.members, self._sources, strict=True):
            if not member.built:
                own = {name: tuple(shapes[source]) for name, source in sources.items()}
                member.build(own if len(own) > 1 else own[member.input_names[0]])

    def call(
        self,
        inputs,
        attended=None,
        mask=None,
        attended_mask=None,
        training=None,
        attention_override=None,
    ):
        inputs = self._by_name("inputs", inputs, "attended", attended)
        masks = self._masks_by_name(mask, attended_mask)
        overrides = attention_override if isinstance(attention_override, dict) else {}
        unknown = set(overrides) - set(self.member_names)
        if unknown:
            raise ValueError(
                f"`attention_override` may hold {', '.join(self.member_names)}; "
                f"got {', '.join(sorted(unknown))}."
            )
        answers = {}
        for name in self.member_names:
            answers[name] = self._ask(name, inputs, masks, training, overrides.get(name))
        if attention_override is not None and not isinstance(attention_override, dict):
            # Only its answer tells whether a member attends.
            attending = [name for name in answers if "attention_weights" in answers[name]]
            if len(attending) != 1:
                raise ValueError(
                    "`attention_override` must be a dict from the names of members "
                    f"({', '.join(self.member_names)}) to maps, since {len(attending)} of them "
                    f"attend; received {type(attention_override).__name__}."
                )
            (name,) = attending
            answers[name] = self._ask(name, inputs, masks, training, attention_override)
        return self._combine(answers)

    def _ask(self, name, inputs, masks, training, attention_override):
        """The answer of the member of a name."""
        number = self.member_names.index(name)
        member, sources = self.members[number], self._sources[number]
        own = {key: inputs[source] for key, source in sources.items()}
        own_masks = [masks.get(source) for source in sources.values()]
        further = {"attended_mask": own_masks[1]} if "attended" in sources else {}
        return member(
            own if len(own) > 1 else own[member.input_names[0]],
            mask=own_masks[0],
            training=training,
            attention_override=attention_override,
            **further,
        )

    def _combine(self, answers):
        mean = ops.mean(ops.stack([a["probabilities"] for a in answers.values()]), axis=0)
        floored = ops.maximum(mean, keras.config.epsilon())
        logits = ops.log(floored)
        step_logits = logits
        if self.multi_label:  # the number whose sigmoid is the mean
            step_logits = logits - ops.log(ops.maximum(1 - mean, keras.config.epsilon()))
        outputs = {
            "probabilities": mean,
            "logits": logits,
            "step_logits": ops.expand_dims(step_logits, 1),
            "step_probabilities": ops.expand_dims(mean, 1),
        }
        maps = {n: a["attention_weights"] for n, a in answers.items() if "attention_weights" in a}
        if maps:
            outputs["member_attention_weights"] = maps
        if len(maps) == 1:
            (outputs["attention_weights"],) = maps.values()
        return outputs

    def _masks_by_name(self, mask, attended_mask):
        if mask is None and attended_mask is None:
            return {}
        attended_to = {sources.get("attended") for sources in self._sources}
        second_is_attended = len(self.input_names) == 2 and self.input_names[1] in attended_to
        if second_is_attended and not isinstance(mask, (dict, list, tuple)):
            return dict(zip(self.input_names, (mask, attended_mask), strict=True))
        return self._by_name("mask", mask, "attended_mask", attended_mask, partial=True)

    def _by_name(self, argument, value, second_argument, second, partial=False):
        """A dict by the names of inputs of tensors or shapes, however they were passed."""
        names = self.input_names
        if second is not None:
            if len(names) != 2 or _is_nested(value):
                raise ValueError(
                    f"`{second_argument}` belongs to the second of two inputs, if `{argument}` "
                    f"is given for the first alone; this ensemble reads {', '.join(names)}. "
                    "A mask is passed as `mask=`."
                )
            return dict(zip(names, (value, second), strict=True))
        if isinstance(value, dict):
            fits = set(value) <= set(names) if partial else set(value) == set(names)
            received = sorted(value)
        elif _is_nested(value):
            fits, received = len(value) == len(names), f"a list of {len(value)}"
            value = dict(zip(names, value, strict=False))
        else:
            fits, received = len(names) == 1, type(value).__name__
            value = {names[0]: value}
        if not fits:
            alone = ", or the first and then `attended`" if len(names) == 2 else ""
            raise ValueError(
                f"`{argument}` must be a dict of {', '.join(names)}, or a list or tuple in this "
                f"order{alone}; received {received}."
            )
        return value

    def compile(self, *args, attention_penalty=0.0, **kwargs):
        """As `StepTraining.compile`, without a penalty, which is for the members' own training."""
        if attention_penalty:
            raise ValueError(
                "`attention_penalty` must be 0: an ensemble has no one map; train its members "
                f"with a penalty instead. Received {attention_penalty!r}."
            )
        super().compile(*args, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config:
            del config["attention_penalty"]
        return config

    def get_config(self):
        return {
            **super().get_config(),
            "members": [keras.saving.serialize_keras_object(member) for member in self.members],
            "member_names": self.member_names,
            "member_inputs": self.member_inputs,
        }

    @classmethod
    def from_config(cls, config):
        members = [keras.saving.deserialize_keras_object(member) for member in config["members"]]
        return cls(**{**config, "members": members})


def _is_nested(value):
    """Whether it holds tensors or shapes, and is not a shape or tensor itself."""
    sequence = isinstance(value, (list, tuple))
    return isinstance(value, dict) or (
        sequence and not any(isinstance(each, int) for each in value)
    )
