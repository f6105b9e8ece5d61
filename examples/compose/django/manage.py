"""A project of one file: its page says how many users the database knows."""
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

settings.configure(
    DEBUG=True,
    SECRET_KEY="an example",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "HOST": "db", "NAME": "composeexample", "USER": "composeuser",
        "PASSWORD": Path("/run/secrets/password").read_text().strip(),
    }},
)


def page(request):
    from django.contrib.auth.models import User
    return HttpResponse(f"It worked! PostgreSQL knows {User.objects.count()} users.\n")


urlpatterns = [path("", page)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
