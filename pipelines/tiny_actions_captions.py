"""Reference captions of `tiny_actions`, made from a small grammar."""

# What captions say of each action.
VERBS = {
    "wave": "waves",
    "jack": "does jumping jacks",
    "squat": "squats",
    "kick": "kicks",
    "bow": "bows",
    "windmill": "swings both arms around",
    "raise": "raises both arms slowly",
    "lower": "lowers both arms slowly",
    "idle": "stands still",
}
_ALONE = (
    "a {colour} figure in a hat {verb}",
    "a {colour} figure with a hat {verb}",
    "a {colour} figure wearing a hat {verb}",
)
_BESIDE = (
    "a {colour} figure in a hat {verb} next to a {object}",
    "a {colour} figure with a hat {verb} beside a {object}",
    "next to a {object} a {colour} figure in a hat {verb}",
)


def reference_captions(colour, action, near_objects=()):
    """Returns three captions of one clip in different words.

    Args:
        colour: name of the actor's colour.
        action: the actor's action, or "idle".
        near_objects: (colour, kind) of the objects beside the actor: none or one; an object that
            is not near must not be passed.

    Raises:
        ValueError: the action is unknown, or more than one object is near.
    """
    if action not in VERBS:
        raise ValueError(f"action must be one of {tuple(VERBS)}, got {action!r}.")
    if len(near_objects) > 1:
        raise ValueError(f"near_objects must hold at most one object, got {near_objects!r}.")
    if near_objects:
        templates, thing = _BESIDE, " ".join(near_objects[0])
    else:
        templates, thing = _ALONE, ""
    return [
        template.format(colour=colour, verb=VERBS[action], object=thing) for template in templates
    ]
