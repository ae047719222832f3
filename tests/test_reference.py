from effbench.reference import CASE_STUDY_DATA, case_study_test_accuracy
from effbench.variants import VARIANTS

# The notebook's own table: size, test accuracy, weights.
PUBLISHED = {
    "B0": (224, 89.86, "imagenet"),
    "B1": (240, 90.07, "imagenet"),
    "B2": (260, 86.85, "imagenet"),
    "B3": (300, 89.29, "imagenet"),
    "T": (320, 92.53, "imagenet"),
    "S": (384, 89.27, "imagenet"),
    "M": (480, 90.53, "imagenet"),
    "L": (480, 92.38, "imagenet"),
    "XL": (512, 93.41, "imagenet21k-ft1k"),
}


def test_the_shipped_numbers_are_the_published_ones():
    assert case_study_test_accuracy() == {
        (name, size, weights): accuracy for name, (size, accuracy, weights) in PUBLISHED.items()
    }


def test_they_are_of_the_default_choice_of_every_variant():
    assert case_study_test_accuracy().keys() == {
        (row.name, row.image_size, row.release("auto").name) for row in VARIANTS.values()
    }
    assert CASE_STUDY_DATA == "cifar10"
