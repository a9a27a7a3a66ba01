"""What stands written in a picture, and that nothing of it overlaps or is cut off."""


def drawn_texts(canvas):
    """The texts of a `PixelCanvas`, in the order in which they were written."""
    return [text.get_text() for text in canvas.axes.texts if text.get_text()]


def assert_readable(canvas):
    """Every text lies inside the picture and none on another."""
    renderer = canvas.figure.canvas.get_renderer()
    texts = [text for text in canvas.axes.texts if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    for number, (string, box) in enumerate(boxes):
        assert 0 <= box.x0 and box.x1 <= canvas.width, string
        assert 0 <= box.y0 and box.y1 <= canvas.height, string
        for other, other_box in boxes[number + 1 :]:
            assert not box.overlaps(other_box), (string, other)
